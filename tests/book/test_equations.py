"""Every numbered equation of the book names a function, and that function gives the numbers computed here by hand."""

import importlib
import json
import re
from math import e, log2
from pathlib import Path

import numpy as np
import pytest

from crs_lite.paths import BOOK


def same(a, b) -> bool:
    return np.allclose(np.asarray(a, dtype=float), np.asarray(b, dtype=float), atol=1e-12)


def scores(metric):
    by_hand = {"HR@5": [1, 1, 0, 0], "NDCG@10": [1, 1 / log2(4), 1 / log2(11), 0], "MRR": [1, 1 / 3, 1 / 10, 0]}
    return lambda f: same(f(np.array([0, 2, 9, 10]))[metric], by_hand[metric])


def click(truth_class) -> bool:
    """Two items, utilities log 3 and 0: three to one."""

    class Two(truth_class):
        def __init__(self):
            pass

        def true_utility(self, request):
            return np.log([3.0, 1.0])

    return same(Two().true_probabilities(["any"]), [[0.75, 0.25]])


def utility(truth_class) -> bool:
    class Three(truth_class):
        def __init__(self):
            pass

        def true_probabilities(self, requests):
            return np.array([[0.5, 0.3, 0.2]])

    return same(Three().expected_utility(["any"], np.array([[2, 0, -1]])), [0.2 + 0.5 / log2(3)])


def residual(kmeans_class) -> bool:
    k = kmeans_class((2, 2, 2))
    k.codebooks = [
        np.array([[0.0], [10.0]], np.float32),
        np.array([[-1.0], [2.0]], np.float32),
        np.array([[0.0], [0.5]], np.float32),
    ]
    codes = k.encode(np.array([[12.4]], np.float32))  # 10, then 2 of 2.4, then 0.5 of 0.4
    return codes.tolist() == [[1, 1, 1]] and same(k.reconstruct(codes), [[12.5]])


def advantage(f) -> bool:
    a, informative = f(np.array([[1.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0]]))
    return (
        same(a[0], [0.75 / (0.5 + 1e-4), *[-0.25 / (0.5 + 1e-4)] * 3])
        and same(a[1], [0] * 4)
        and informative.tolist() == [True, False]
    )


def budget(builder_class) -> bool:
    """The largest number of latest interactions whose text is within the budget, tried one by one."""
    from toy import toy_log

    from crs_lite.context import Context

    log = toy_log(4, 12)
    request = max(log.split("test"), key=log.n_past)
    whole = builder_class(log, lambda i: f"<{i}>", len, 10**6).build(request)
    sizes = [
        len(Context(profile=whole.profile, history=whole.history[10 - m :], request=whole.request).to_json())
        for m in range(11)
    ]
    return len(whole.history) == 10 and all(
        len(builder_class(log, lambda i: f"<{i}>", len, b).build(request).history)
        == max(m for m in range(11) if sizes[m] <= b)
        for b in range(sizes[1], sizes[10] + 50, 7)
    )


def layers(kmeans_class) -> bool:
    """Codes by a plain search in every layer, on vectors no codebook has seen."""
    rng = np.random.default_rng(0)
    kmeans = kmeans_class((5, 4, 3), 0).fit(rng.normal(size=(60, 6)))
    x = rng.normal(size=(9, 6)).astype(np.float32)
    by_hand = []
    for v in x.astype(np.float64):
        row = []
        for book in kmeans.codebooks:
            row.append(min(range(len(book)), key=lambda j: ((v - book[j]) ** 2).sum()))
            v = v - book[row[-1]]
        by_hand.append(row)
    return kmeans.encode(x).tolist() == by_hand


def beam(search) -> bool:
    """On a model whose next token depends on the last one only, by a table: all names scored by plain addition."""
    import torch

    from crs_lite.decode import Tree
    from crs_lite.trie import Trie

    table = torch.randn(9, 9, generator=torch.Generator().manual_seed(0)).double().log_softmax(-1)
    names = np.array([[3, 5, 7, 8], [3, 5, 6, 8], [4, 5, 7, 8], [4, 6, 6, 7], [4, 6, 6, 8]])

    class Lookup(Tree):
        def feed(self, token, visible, position):
            self.visible = torch.nn.functional.pad(visible, (0, token.shape[1]), value=True)
            self.position = position + 1
            return table[token]

    tree = Lookup(
        None,
        None,
        table[torch.tensor([[2]])],
        torch.ones(1, 1, 1, dtype=torch.bool),
        torch.zeros(1, 1, dtype=torch.long),
    )
    items, scores = search(tree, Trie.build(names), 5)
    by_hand = [sum(table[a, b].item() for a, b in zip([2, *name[:-1]], name, strict=True)) for name in names.tolist()]
    return items[0, 0].tolist() == np.argsort(by_hand)[::-1].tolist() and same(
        scores[0, 0], sorted(by_hand, reverse=True)
    )


def grpo(policy_loss, beta=0.0) -> bool:
    """Two trajectories of two and one tokens; every number by hand."""
    import torch

    from crs_lite.rl import RLConfig, token_weight

    log = lambda *rows: torch.tensor([rows], dtype=torch.float64).log()  # noqa: E731
    new, old, ref = log([0.6, 0.2], [0.5, 1.0]), log([0.4, 0.25], [0.4, 1.0]), log([0.3, 0.2], [0.5, 1.0])
    mask, config = torch.tensor([[[True, True], [True, False]]]), RLConfig(clip=0.2, kl=beta)
    weight = token_weight(mask, config, 2)
    loss, logs = policy_loss(new, old, ref, torch.tensor([[1.0, -2.0]]), weight, config)
    kl = lambda ref, new: ref / new - np.log(ref / new) - 1  # noqa: E731
    # ratios 1.5 (clipped to 1.2), 0.8; and 1.25 at a negative advantage, which is not clipped
    gain = ((1.2 + 0.8) / 2 + 1.25 * -2) / 2
    penalty = ((kl(0.3, 0.6) + kl(0.2, 0.2)) / 2 + kl(0.5, 0.5)) / 2
    return bool(np.isclose(loss.item(), -gain + beta * penalty)) and (
        beta == 0 or bool(np.isclose(logs["kl"], penalty))
    )


def masked(loss) -> bool:
    """On a model whose next token depends on the last one only: -log p of the two tokens that are asked for, and no
    other."""
    from types import SimpleNamespace

    import torch

    table = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]], dtype=torch.float64).log()

    def model(input_ids, logits_to_keep, use_cache):
        return SimpleNamespace(logits=table[input_ids][:, logits_to_keep])

    total, n, _ = loss(model, torch.tensor([[0, 2, 1, 1]]), torch.tensor([[-100, 2, -100, 1]]))
    return int(n) == 2 and abs(total.item() + np.log(0.25) + np.log(0.2)) < 1e-6  # p(2 | 0) and p(1 | 1)


def support(evidence_class) -> bool:
    """Three pseudo-counts at the overall share. Of four training clicks three are red; of the three "coat"s, two."""
    from crs_lite.logs import Item, SearchLog, SearchRequest, User

    items = [Item(id=i, key=str(i), title="x", attributes={"style": style}) for i, style in enumerate(("red", "blue"))]
    rows = [("coat", 0), ("coat", 0), ("coat", 1), ("hat", 0), ("coat", 1)]
    requests = [
        SearchRequest(id=n, user=n, time=86400 * n, query=q, clicked=(i,), split="train" if n < 4 else "test")
        for n, (q, i) in enumerate(rows)
    ]
    log = SearchLog("five", items, [User(id=u, key=str(u)) for u in range(5)], requests)
    request = log.split("test")[0]
    (kind, seen), p = evidence_class(log).support(request, "style", "red")
    season = (3 + 3 * 0.75) / (4 + 3)  # all of January: the other fact of this bare context
    return same(p, max((2 + 3 * 0.75) / (3 + 3), season)) and kind == "season"


def kept(collect) -> bool:
    """Four requests, two thoughts each: a right one, two right ones of which one is drawn, wrong ones, one that did not
    close."""
    from types import SimpleNamespace
    from unittest.mock import patch

    requests = [SimpleNamespace(target=i) for i in range(4)]
    drawn = [
        [("a", 0, True), ("b", 3, True)],
        [("c", 1, True), ("d", 1, True)],
        [("e", 0, True), ("f", -1, True)],
        [("g", 3, False), ("", 3, True)],
    ]
    profile = SimpleNamespace(collect_samples=2, rl_temperature=1, max_reasoning=9, max_conclusion=9, eval_batch=2)
    with patch("crs_lite.evolve.sample_thoughts", lambda *_: drawn):
        both = {tuple(collect(None, None, requests, profile, seed)) for seed in range(20)}
    return both == {((0, "a"), (1, "c")), ((0, "a"), (1, "d"))}


EQUATIONS = {
    "eq-kept": ("crs_lite.evolve.collect", kept),
    "eq-sft": ("crs_lite.sft.masked_loss", masked),
    "eq-support": ("crs_lite.reasoning.teacher.Evidence", support),
    "eq-score": (
        "crs_lite.rewards.item_scores",
        lambda f: same(
            f(
                np.array([[1, 2, 3, 4], [1, 2, 3, 0], [1, 2, 0, 4], [1, 0, 3, 4], [0, 2, 3, 4]]),
                np.array([1, 2, 3, 4]),
                (0.1, 0.2, 0.3),
            ),
            [1, 0.3, 0.2, 0.1, 0],
        ),
    ),
    "eq-list": ("crs_lite.rewards.rank_reward", lambda f: same(f(np.array([0.2, 0.0, 1.0, 0.0])), 0.2 + 1 / 2)),
    "eq-hr": ("crs_lite.evaluate.per_request", scores("HR@5")),
    "eq-ndcg": ("crs_lite.evaluate.per_request", scores("NDCG@10")),
    "eq-mrr": ("crs_lite.evaluate.per_request", scores("MRR")),
    "eq-click": ("crs_lite.marketplace.truth.Truth", click),
    "eq-utility": ("crs_lite.marketplace.truth.Truth", utility),
    "eq-budget": ("crs_lite.context.ContextBuilder", budget),
    "eq-layers": ("crs_lite.sid.kmeans.ResidualKMeans", layers),
    "eq-beam": ("crs_lite.decode.beam_search", beam),
    "eq-group": ("crs_lite.rewards.group_advantage", advantage),
    "eq-grpo": ("crs_lite.rl.policy_loss", grpo),
    "eq-k3": ("crs_lite.rl.policy_loss", lambda f: grpo(f, beta=0.5)),
    "eq-residual": ("crs_lite.sid.kmeans.ResidualKMeans", residual),
    "eq-rank": (
        "crs_lite.rewards.rank_reward",
        lambda f: same(f(np.array([0.0, 1.0, 0.03])), 1 / log2(3) + 0.03 / log2(4)),
    ),
    "eq-advantage": ("crs_lite.rewards.group_advantage", advantage),
}


def markdown(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def labels() -> set[str]:
    return {label for path in BOOK.glob("*.ipynb") for label in re.findall(r"\$\$ \((eq-[\w-]+)\)", markdown(path))}


def test_every_numbered_equation_stands_here_and_nothing_else():
    assert labels() == set(EQUATIONS)


@pytest.mark.parametrize("label", EQUATIONS)
def test_equation_by_hand(label):
    path, holds = EQUATIONS[label]
    module, name = path.rsplit(".", 1)
    assert holds(getattr(importlib.import_module(module), name)), path


def test_equations_are_told_apart():
    """A check that cannot fail is none: each rejects a function that is wrong."""
    assert not EQUATIONS["eq-rank"][1](lambda s: s.sum())
    assert not EQUATIONS["eq-ndcg"][1](lambda r: {"NDCG@10": (r < 10) / np.log2(r + 3)})
    assert not EQUATIONS["eq-advantage"][1](lambda r: (r - e, np.array([True, True])))
