"""float16 with a scaler survives an overflow; long random training stays finite."""

import copy

import numpy as np
import pytest
import torch

from crs_lite import rl
from crs_lite.errors import CRSError
from crs_lite.model.precision import Precision, best_dtype
from crs_lite.rl import RLConfig, Rollout, Vocabulary, train, update
from crs_lite.trie import Trie

PAD, END = 0, 3


def random_rollout(seed: int, size: float = 1.0) -> Rollout:
    rng = np.random.default_rng(seed)
    mask = torch.arange(6) < torch.tensor(rng.integers(1, 7, size=(2, 4)))[..., None]
    completion = torch.tensor(rng.integers(4, 70, size=(2, 4, 6))) * mask
    advantage = size * rng.standard_normal((2, 4))
    return Rollout(
        [[5, 6], [7, 8, 9]], completion, mask, mask, torch.zeros(2, 4, 6), {}, advantage, advantage, np.ones(2, bool)
    )


def test_an_overflow_skips_the_step_and_halves_the_scale(random_model, catalogue_ids):
    config = RLConfig(kl=0.0, dtype="float16")
    precision = Precision("float16", "cpu")
    optimizer = torch.optim.SGD(random_model.parameters(), lr=1e-3)
    vocab = Vocabulary(PAD, END, catalogue_ids)
    before, scale = copy.deepcopy(random_model.state_dict()), precision.scaler.get_scale()
    logs = update(random_model, None, optimizer, random_rollout(0, size=1e30), vocab, config, precision)
    assert not np.isfinite(logs["grad_norm"])
    assert all(torch.equal(before[k], v) for k, v in random_model.state_dict().items())
    assert precision.scaler.get_scale() == scale / 2
    logs = update(random_model, None, optimizer, random_rollout(0), vocab, config, precision)
    assert np.isfinite(logs["grad_norm"]) and logs["grad_norm"] > 0
    assert any(not torch.equal(before[k], v) for k, v in random_model.state_dict().items())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gradients_point_where_the_full_ones_do(random_model, catalogue_ids, dtype):
    vocab, moved = Vocabulary(PAD, END, catalogue_ids), {}
    with torch.no_grad():  # the fixture's sharp weights saturate; ordinary ones are what half precision is made for
        for p in random_model.parameters():
            if p.ndim > 1:
                p.mul_(0.2)
    for name in ("float32", dtype):
        model = copy.deepcopy(random_model)
        config = RLConfig(kl=0.0, dtype=name, max_grad_norm=1e9)
        update(model, None, torch.optim.SGD(model.parameters(), lr=1.0), random_rollout(1), vocab, config)
        moved[name] = torch.cat(
            [(p - q).flatten() for p, q in zip(model.parameters(), random_model.parameters(), strict=True)]
        )
    assert torch.cosine_similarity(moved["float32"], moved[dtype], dim=0) > 0.99


@pytest.mark.slow
def test_long_random_training_stays_finite(random_model, catalogue_ids):
    """A large learning rate, random rewards: whatever happens, no weight becomes NaN."""
    steps = 1000 if random_model.config.model_type == "llama" else 250  # the update is the same code for both
    config = RLConfig(steps=steps, prompts=1, group=4, beams=3, max_reasoning=4, lr=3e-2, kl=0.01)
    vocab = Vocabulary(PAD, END, catalogue_ids)
    rng = np.random.default_rng(0)

    def at_random(*args):
        roll = rl.rollout(*args)
        roll.advantage[:], roll.informative[:] = rng.standard_normal(roll.advantage.shape), True
        return roll

    reference, examples, trie = copy.deepcopy(random_model), [([5, 6], 3), ([7], 9)], Trie.build(catalogue_ids)
    history = train(random_model, reference, examples, trie, vocab, config, 0, roll_out=at_random)
    assert len(history) == steps and all(row["grad_norm"] > 0 for row in history)
    assert all(np.isfinite(row[name]) for row in history for name in ("reward", "kl", "grad_norm"))
    assert all(torch.isfinite(p).all() for p in random_model.parameters())


def test_what_a_machine_without_accelerator_uses():
    if not torch.cuda.is_available():
        assert best_dtype("bfloat16") == best_dtype("float16") == "float32"
    with pytest.raises(CRSError, match="unknown dtype 'int4'"):
        best_dtype("int4")


def test_a_step_that_is_not_finite_is_not_taken_in_float32_either():
    model = torch.nn.Linear(2, 1, bias=False)
    optimizer, precision = torch.optim.SGD(model.parameters(), lr=1.0), Precision("float32", "cpu")
    before = model.weight.detach().clone()
    norm = precision.step(model(torch.tensor([torch.inf, 0.0])).sum(), model, optimizer, 1.0)
    assert not np.isfinite(norm) and torch.equal(model.weight, before)
    norm = precision.step(model(torch.tensor([3.0, 4.0])).sum(), model, optimizer, 1.0)
    assert norm == pytest.approx(5.0)  # before it is clipped to 1
    assert torch.allclose(before - model.weight, torch.tensor([[0.6, 0.8]]), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_forward_passes_run_in_their_number_format(dtype):
    x, w = torch.ones(2, 2), torch.ones(2, 2)
    with Precision(dtype, "cpu").autocast():
        assert (x @ w).dtype == getattr(torch, dtype)
    assert (x @ w).dtype == torch.float32
