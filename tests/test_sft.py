"""The loss counts what is asked for and nothing else; batches are shared out whole; a fault stops the training."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crs_lite import sft
from crs_lite.errors import CRSError
from crs_lite.tasks import Example, item_to_sid, token_batches


def test_the_loss_is_the_model_s_own(random_model):
    """Against the loss of `transformers`, with padding and unasked tokens."""
    rng = np.random.default_rng(0)
    ids = torch.tensor(rng.integers(4, 80, size=(3, 9)))
    labels = torch.where(torch.tensor(rng.random((3, 9)) < 0.4), ids, -100)
    labels[2, 6:] = -100
    model = random_model.double()
    total, n, _ = sft.masked_loss(model, ids, labels)
    assert n == (labels[:, 1:] != -100).sum() and n > 5
    assert (total / n).item() == pytest.approx(model(input_ids=ids, labels=labels).loss.item(), rel=1e-6)
    model.zero_grad()
    total.backward()
    mine = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    (model(input_ids=ids, labels=labels).loss * n).backward()
    assert all(torch.allclose(a, p.grad, atol=1e-6) for a, p in zip(mine, model.parameters(), strict=True))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(1, 4), st.integers(0, 3))
def test_processes_share_the_batches_of_an_epoch(lengths, n, epoch):
    whole = token_batches(lengths, 60, 7 + epoch)
    shares = []
    for rank in range(n):
        sampler = sft.TokenBatches(lengths, 60, 7, rank, n)
        sampler.epoch = epoch
        shares.append(list(sampler))
        assert len(sampler) == len(shares[-1])
    assert len({len(s) for s in shares}) == 1  # all take equally many steps
    together = [batch for step in zip(*shares, strict=True) for batch in step]
    assert together[: len(whole)] == whole and all(batch in whole for batch in together)


def test_the_loader_passes_the_epoch_on():
    batches = sft.TokenBatches([3] * 20, 12, 0)
    loader = sft.TokenLoader(list(range(20)), batch_sampler=batches)
    first = [b.tolist() for b in loader]
    loader.set_epoch(1)
    second = [b.tolist() for b in loader]
    assert first != second and sorted(sum(second, [])) == list(range(20))


def test_training_lowers_the_loss_and_calls_between_epochs(toy_kit):
    log, _, model, codec = toy_kit
    model, seen, modes = copy.deepcopy(model), [], []

    def look(epoch):
        seen.append(epoch)
        modes.append(model.training)

    rows = item_to_sid(codec)
    history = sft.train(
        model, codec.tokenizer, rows, epochs=3, lr=3e-3, batch_tokens=300, seed=0, log_every=1, on_epoch=look
    )
    losses = [row["loss"] for row in history if "loss" in row]
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) and seen == [1, 2, 3]
    assert modes == [False] * 3 and not model.training  # looked at, and left, in evaluation mode


def test_the_same_seed_trains_the_same_weights(toy_kit):
    _, _, model, codec = toy_kit
    ends = []
    for seed in (0, 0, 1):
        trained = copy.deepcopy(model)
        options = dict(epochs=1, lr=1e-3, batch_tokens=300, seed=seed)
        sft.train(trained, codec.tokenizer, item_to_sid(codec), **options)
        ends.append(torch.cat([p.detach().flatten() for p in trained.parameters()]))
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def test_a_loss_that_is_no_number_stops_at_once(toy_kit):
    _, _, model, codec = toy_kit
    model = copy.deepcopy(model)
    with torch.no_grad():
        model.get_input_embeddings().weight[codec.think] = torch.nan
    with pytest.raises(CRSError, match="SFT step 0: the loss is not finite; lower the learning rate"):
        sft.train(model, codec.tokenizer, item_to_sid(codec), epochs=1, lr=1e-3, batch_tokens=300, seed=0)


def test_the_loss_of_a_step_counts_all_its_labels(random_model):
    """Two batches of one step weigh by their labels, not as two means."""
    state, accelerator = SimpleNamespace(global_step=0), SimpleNamespace(num_processes=2)
    trainer = SimpleNamespace(state=state, accelerator=accelerator)
    example = Example([5, 6, 7, 8], [False, True, True, False])
    ids = torch.tensor([example.ids])
    labels = torch.tensor([[i if on else -100 for i, on in zip(example.ids, example.loss, strict=True)]])
    inputs = {"input_ids": ids, "labels": labels}
    alone = sft.TokenBudgetTrainer.compute_loss(trainer, random_model, inputs)
    total, n, _ = sft.masked_loss(random_model, ids, labels)
    assert n == 2 and alone.item() == pytest.approx(total.item() / 2)
    shared = sft.TokenBudgetTrainer.compute_loss(trainer, random_model, inputs, num_items_in_batch=10)
    assert shared.item() == pytest.approx(total.item() / 10 * 2)  # gradients of two processes are averaged afterwards
