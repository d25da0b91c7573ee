"""SASRec: its scores by hand in numpy, what it learns that its ablations cannot, and what it may not see."""

import numpy as np
import pytest
import torch

from crs_lite.baselines import sasrec
from crs_lite.baselines.sasrec import BEGIN, Config, SASRec, SASRecRanker
from crs_lite.logs import Item, SearchLog, SearchRequest, User


def normal(x, of):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * of["weight"] + of["bias"]


def by_hand(w, tokens, layers):
    """One row of tokens `(T,)` -> scores `(T, N)`, place by place: each looks at itself and at what came before."""

    def part(name):
        return {k.removeprefix(name + "."): v for k, v in w.items() if k.startswith(name + ".")}

    x = w["token.weight"][tokens] + w["position.weight"][: len(tokens)]
    for n in range(layers):
        of = part(f"layers.layers.{n}")
        h = normal(x, {k: of[f"norm1.{k}"] for k in ("weight", "bias")})
        q, k, v = np.split(h @ of["self_attn.in_proj_weight"].T + of["self_attn.in_proj_bias"], 3, axis=-1)
        for t in range(len(tokens)):
            match = np.exp(k[: t + 1] @ q[t] / np.sqrt(q.shape[-1]))
            read = (match / match.sum()) @ v[: t + 1]
            x[t] = x[t] + of["self_attn.out_proj.weight"] @ read + of["self_attn.out_proj.bias"]
        h = normal(x, {k: of[f"norm2.{k}"] for k in ("weight", "bias")})
        inner = np.maximum(h @ of["linear1.weight"].T + of["linear1.bias"], 0)
        x = x + inner @ of["linear2.weight"].T + of["linear2.bias"]
    return normal(x, part("layers.norm")) @ w["token.weight"][1:].T


def test_scores_are_those_of_a_computation_by_hand():
    torch.manual_seed(0)
    model = SASRec(7, Config(width=8, layers=2, length=6)).double().eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.7)
    tokens = np.array([BEGIN, 3, 7, 1, 3])
    with torch.no_grad():
        found = model(torch.from_numpy(tokens)[None])[0].numpy()
    wanted = by_hand({k: v.numpy().copy() for k, v in model.state_dict().items()}, tokens, 2)
    assert found.shape == (5, 7) and np.allclose(found, wanted, atol=1e-10)


def log_of(rows, n_items=8, test=()):
    """Shoppers' clicks in order; shoppers of `test` have their last click in the test split."""
    items = [Item(id=i, key=str(i), title=f"thing {i}") for i in range(n_items)]
    clicks = [(turn, user, item) for user, row in enumerate(rows) for turn, item in enumerate(row)]
    requests = [
        SearchRequest(
            id=n, time=turn, user=user, query="thing", clicked=(item,),
            split="test" if user in test and turn == len(rows[user]) - 1 else "train",
        )
        for n, (turn, user, item) in enumerate(sorted(clicks))
    ]  # fmt: skip
    return SearchLog("clicks", items, [User(id=u, key=str(u)) for u in range(len(rows))], requests)


ORDER = [[0, 1, 2, 3], [1, 0, 2, 4]] * 30  # the third click is the same: only the order of the first two tells


def share_right(config):
    log = log_of(ORDER + ORDER[:2], test={60, 61})
    model, losses = sasrec.fit(log, config, 0)
    assert losses[-1] < losses[0]
    test = log.split("test")
    return np.mean(SASRecRanker(log, model).rank(test, 1)[:, 0] == [r.target for r in test]), losses[-1]


@pytest.mark.slow
def test_it_learns_an_order_that_it_cannot_learn_without_positions_or_without_attention():
    """With one layer and no positions, the third place reads a set; without attention, it reads the third click."""
    usual = Config(width=16, layers=1, dropout=0.0, epochs=150)
    right, loss = share_right(usual)
    assert right == 1.0
    for less in ({"positions": False}, {"attention": False}):
        right, worse = share_right(Config(**{**vars(usual), **less}))
        assert right == 0.5
        # Of three predicted clicks behind the first, the last is a coin toss: log 2 on one place in four.
        assert worse > loss + 0.1 * np.log(2)


def test_a_row_is_the_beginning_and_the_latest_clicks():
    assert sasrec.rows_of([[4, 5, 6], [], [2]], 2).tolist() == [[BEGIN, 6, 7], [BEGIN, 0, 0], [BEGIN, 3, 0]]


def test_what_is_behind_a_place_changes_nothing_before_it():
    torch.manual_seed(0)
    model = SASRec(5, Config(width=8)).eval()
    a, b = model(torch.tensor([[BEGIN, 1, 2, 3], [BEGIN, 1, 2, 5]]))
    assert torch.allclose(a[:3], b[:3]) and not torch.allclose(a[3], b[3])


def test_the_request_itself_and_the_test_split_are_not_read():
    log, other = (log_of([[0, 1, 2], [0, 1, last], [0, 1, 2]], test={1}) for last in (2, 5))
    config = Config(width=8, epochs=3)
    (model, losses), (same, _) = sasrec.fit(log, config, 0), sasrec.fit(other, config, 0)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters(), strict=True))
    assert len(losses) == 3
    lists = [SASRecRanker(x, model).rank(x.split("test"), 3).tolist() for x in (log, other)]
    assert lists[0] == lists[1]


@pytest.mark.parametrize("seed", [0, 1])
def test_training_leaves_the_global_generator_alone_and_repeats_itself(seed):
    log, config = log_of([[0, 1, 2], [3, 1]]), Config(width=8, epochs=2)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, again = sasrec.fit(log, config, seed)[1], sasrec.fit(log, config, seed)[1]
    assert first == again and torch.equal(before, torch.get_rng_state())
