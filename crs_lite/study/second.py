"""The claims under the second protocol (`book/protocol-2.md`): the large log, lessons without hindsight, the counting
model among the baselines; what merging, RL and own guesses add (E1 to E4), and the loop on another pool (E5).

C1 to C5, B1 and O1 are judged by one thought. "After two rounds" is here the end of the second R-GRPO stage: its
consolidation was not run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crs_lite.study import open_questions
from crs_lite.study.comparison import (
    BIAS,
    FAULTS,
    SEEDS,
    Effect,
    Entry,
    Seeds,
    Study,
    between_ensembles,
    compared,
    difference,
    enough,
    faults_of_reasoning,
    hierarchical,
    of_any_seed,
    planted_biases,
    rows_of,
)
from crs_lite.study.losses import GOAL
from crs_lite.study.recorded import gather, values

EXPERIMENTS = ("levers", "answers", "thoughts", "explorers")
AFTERWARDS = ("newcomers", "passes", "latents", "ensembles", "rates")  # made later, on other machines
# Arms without reasoning that train a language model, as rows of `answers` -> how prose calls them.
ANSWERS = {
    "direct-SFT": "direct SFT",
    "aligned": "the aligned model",
    "direct-forgetful": "direct, 16 contexts merged",
    "direct-counted": "direct, counts in the prompt",
}
# Rows at 2e-3, the rate of this protocol, beside which `rates` tries others.
AT_FIRST = {"direct": ("answers", "direct-SFT"), "thought": ("thoughts", "start")}
FIVE = {"aligned": "five aligned models", "direct": "five direct models"}  # ensembles without a thought
METRICS = ("HR@1", "NDCG@10", "utility")
BY_NDCG = ("NDCG@10", "HR@1", "utility")  # where the protocol has them in this order
LAST = "rgrpo-round1-rl"


def counting(e: Study, like: Seeds) -> Seeds:
    """The counting model, which has no seed, beside every seed of another system."""
    row = rows_of(e, "answers", "counting").get(0)
    return {seed: row for seed in like} if row else {}


def best_answer(e: Study) -> str | None:
    """The arm without reasoning, of those that train a language model, with the highest mean NDCG@10 on test. It can
    only be harder to beat than one chosen on validation."""
    means = {n: np.mean([values(r, "NDCG@10").mean() for r in of.values()]) for n in ANSWERS
             if (of := rows_of(e, "answers", n))}  # fmt: skip
    return max(means, key=means.get, default=None)


def _compare(entry: Entry, label: str, a: Seeds, b: Seeds, metrics=METRICS, sign: int = 1, cold=False) -> str | None:
    return compared(entry, label, [a], [b], metrics, sign, cold)


def c1(e: Study) -> Entry:
    """One thought against the strongest baseline, which is the counting model; the distilled start and the best
    language model without reasoning stand beside it."""
    entry = Entry("C1", "CRS beats the strongest baseline in HR@1", commands=of_any_seed(e, "answers", "explorers"))
    crs, start = rows_of(e, "explorers", LAST), rows_of(e, "thoughts", "start")
    verdict = _compare(entry, "over the counting model:", crs, counting(e, crs))
    best = best_answer(e)
    if verdict is None or best is None:
        return Entry(entry.id, entry.claim)
    _compare(entry, f"over {ANSWERS[best]}:", crs, rows_of(e, "answers", best), METRICS[:2])
    _compare(entry, "the start over the counting model:", start, counting(e, start), METRICS[:2])
    for name in ("direct-SFT", best):
        _compare(entry, f"the start over {ANSWERS[name]}:", start, rows_of(e, "answers", name), METRICS[:2])
    ends = [end for end in ("", "-valid") if best_rate(e, "thought", end) and best_rate(e, "direct", end)]
    for end in ends[:1]:  # test rows, where they are made
        pair = ("thought", end), ("direct", end)
        _beside(entry, "one thought over direct SFT, each at its best rate", e, *pair, BY_NDCG)
        _beside(entry, "one thought at its best rate over the aligned model", e, ("thought", end), ("aligned", end))
    _beside(entry, "one thought at its best rate over the counting model", e, ("thought", ""), None)
    return enough(entry, verdict)


def best_rate(e: Study, kind: str, end: str = "") -> Seeds:
    """Of "direct" or "thought", rows at the learning rate that is best on validation requests of seed 0; {} where no
    other rate than this protocol's was tried. Of "aligned", what all of them began with. `end`: "" for test rows,
    "-valid", or for what is merged "-thoughts" and "-forgetful"."""
    found = e.get("rates", {})
    tried = [("rates", n.removesuffix("-valid")) for n in found if n.startswith(kind) and n.endswith("-valid")]
    if not tried:
        return {}
    tried += [AT_FIRST[kind]] if kind in AT_FIRST else []
    experiment, name = max(tried, key=lambda of: _mean(rows_of(e, of[0], f"{of[1]}-valid").get(0)))
    return rows_of(e, experiment, name + end)


def _beside(
    entry: Entry, label: str, e: Study, a: tuple[str, str], b: tuple[str, str] | None, metrics=BY_NDCG[:1]
) -> None:
    """Add differences between rows at their best rates, each a kind and an end (None: the counting model); with how
    many seeds, where not all were run, and what made the rows."""
    ours = best_rate(e, *a)
    rival = best_rate(e, *b) if b else counting(e, ours)
    for metric in metrics:
        if found := difference([ours], [rival], metric):
            few = open_questions.COUNTED[found[1]] if found[1] < SEEDS else ""
            about = ", ".join(filter(None, ("validation" if a[1] == "-valid" else "", few)))
            entry.effects.append(Effect(f"{label}{f' ({about})' if about else ''}: {metric}", found[0]))
            entry.commands = sorted({*entry.commands, *of_any_seed(e, "rates")})


def _mean(row: dict | None) -> float:
    return values(row, "NDCG@10").mean() if row else -1.0


def c2(e: Study, cold: bool = False) -> Entry:
    """After two rounds against the distilled start; with `cold`, C5."""
    id, claim = ("C5", "cold-start users gain too") if cold else ("C2", "CRS beats its own distilled start in NDCG@10")
    entry = Entry(id, claim, commands=of_any_seed(e, "thoughts", "explorers"))
    metrics = ("NDCG@10", "utility") if cold else ("NDCG@10", "HR@1", "utility")
    a, b = rows_of(e, "explorers", LAST), rows_of(e, "thoughts", "start")
    return enough(entry, _compare(entry, "after two rounds:", a, b, metrics, cold=cold))


def c3(e: Study) -> Entry:
    """R-GRPO against GRPO, in the first round and in the second."""
    entry = Entry("C3", "R-GRPO beats GRPO in HR@1 at every iteration", commands=of_any_seed(e, "explorers"))
    verdicts = []
    for i in (0, 1):
        a, b = (rows_of(e, "explorers", f"{arm}-round{i}-rl") for arm in ("rgrpo", "grpo"))
        verdicts.append(_compare(entry, f"round {i + 1}:", a, b))
    if None in verdicts:
        return entry
    same, some = set(verdicts) == {"reproduced"}, set(verdicts) & {"reproduced", "partly"}
    return enough(entry, "reproduced" if same else "partly" if some else "not reproduced")


def c4(e: Study) -> Entry:
    """Whether RL lowers the list and the next SFT recovers it. The second round has no SFT behind it."""
    entry = Entry(
        "C4", "RL can lower the metric; the next SFT recovers it", commands=of_any_seed(e, "thoughts", "explorers")
    )
    steps = [rows_of(e, "thoughts", "start")]
    steps += [rows_of(e, "explorers", f"rgrpo-{name}") for name in ("round0-rl", "round0-sft", "round1-rl")]
    labels = (("round 1: RL − before", -1), ("round 1: SFT − RL", 1), ("round 2: RL − before", -1))
    shown = [
        _compare(entry, label, after, before, ("NDCG@10",), sign)
        for (label, sign), before, after in zip(labels, steps, steps[1:], strict=False)
    ]
    if None in shown:
        return Entry(entry.id, entry.claim)
    fell, recovered = shown[0] == "reproduced", shown[1] == "reproduced"
    return enough(
        entry, "reproduced" if fell and recovered else "partly" if "reproduced" in shown else "not reproduced"
    )


def b1(e: Study) -> Entry:
    """What two rounds change in the two biases that were planted in the teacher."""
    entry = Entry("B1", BIAS, commands=of_any_seed(e, "thoughts", "explorers"))
    return enough(entry, planted_biases(entry, rows_of(e, "thoughts", "start"), rows_of(e, "explorers", LAST)))


def o1(e: Study) -> Entry:
    """How often reasoning repeats or contradicts itself, or its context."""
    entry = Entry("O1", FAULTS, commands=of_any_seed(e, "thoughts", "explorers"))
    stages = {"start": rows_of(e, "thoughts", "start"), "after two rounds": rows_of(e, "explorers", LAST)}
    return enough(entry, faults_of_reasoning(entry, stages))


def e1(e: Study) -> Entry:
    """Sixteen merged thoughts against one, same checkpoint."""
    entry = Entry("E1", "merging 16 thoughts beats one", commands=of_any_seed(e, "thoughts"))
    verdict = _compare(
        entry, "16 − one:", rows_of(e, "thoughts", "start-thoughts"), rows_of(e, "thoughts", "start"), BY_NDCG
    )
    _beside(entry, "16 − one, at its best rate", e, ("thought", "-thoughts"), ("thought", ""))
    many, one = rows_of(e, "levers", "see-count-thoughts"), rows_of(e, "levers", "see-count")
    if found := difference([many], [one], "NDCG@10"):  # validation, one seed: judges nothing
        entry.effects.append(Effect("with hindsight lessons (one seed, validation): NDCG@10", found[0]))
    return enough(entry, verdict)


def e2(e: Study) -> Entry:
    """Merged thoughts against everything that does not reason, the counting model included."""
    entry = Entry("E2", "merged CRS beats everything without reasoning", commands=of_any_seed(e, "answers", "thoughts"))
    merged, best = rows_of(e, "thoughts", "start-thoughts"), best_answer(e)
    verdict = _compare(entry, "over the counting model:", merged, counting(e, merged), BY_NDCG)
    if verdict is None or best is None:
        return Entry(entry.id, entry.claim)
    _compare(entry, f"over {ANSWERS[best]}:", merged, rows_of(e, "answers", best), BY_NDCG)
    sixteen = ("thought", "-thoughts")
    _beside(entry, "over direct SFT, each at its best rate", e, sixteen, ("direct", ""), BY_NDCG)
    _beside(
        entry,
        "over direct SFT merged over 16 contexts, each at its best rate",
        e,
        sixteen,
        ("direct", "-forgetful"),
        BY_NDCG,
    )
    _beside(entry, "at its best rate over the aligned model", e, sixteen, ("aligned", ""))
    if found := difference([merged], [chains(e)], "NDCG@10"):
        label = f"over LatentR3, 16 chains ({open_questions.COUNTED[found[1]]})"
        entry.effects.append(Effect(f"{label}: NDCG@10", found[0]))
    five = {rival: rows_of(e, "ensembles", f"five-{rival}").get(0) for rival in ("thoughts", *FIVE)}
    rivals = {f"{FIVE[rival]} as one": row for rival, row in five.items() if row and rival in FIVE}
    if five["thoughts"]:
        for label, row in {"the counting model": counting(e, {0: {}})[0], **rivals}.items():
            d = between_ensembles(five["thoughts"], row, "NDCG@10")
            entry.effects.append(Effect(f"five models with a thought each, as one − {label}: NDCG@10", d))
    return enough(entry, verdict)


def chains(e: Study) -> Seeds:
    """LatentR3 merged over 16 chains of latents, at the noise that is better on validation; {} where not recorded."""
    tried = [n for n in e["latents"] if n.startswith("LatentR3-16-latents-") and n.endswith("-valid")]
    best = max(tried, key=lambda n: _mean(e["latents"][n].get(0)), default="")
    return rows_of(e, "latents", best.removesuffix("-valid"))


def e3(e: Study) -> Entry:
    """Merged lists after one round of R-GRPO against those before; the arms that ask for variety beside it."""
    entry = Entry("E3", "RL adds to the merged list", commands=of_any_seed(e, "thoughts", "explorers"))
    before = rows_of(e, "thoughts", "start-thoughts")
    verdict = _compare(entry, "R-GRPO:", rows_of(e, "explorers", "rgrpo-round0-rl-thoughts"), before, BY_NDCG)
    for arm, label in (("merged", "a thought's worth to the list"), ("mixture", "likelihood of the mixture")):
        after = rows_of(e, "explorers", f"{arm}-round0-rl-thoughts")
        if found := difference([after], [before], "NDCG@10"):
            entry.effects.append(Effect(f"{label} ({found[1]} seeds): NDCG@10", found[0]))
    return enough(entry, verdict)


def e4(e: Study) -> Entry:
    """One thought after the decoder has met its own guesses against one before."""
    entry = Entry(
        "E4", "a decoder that has met its own guesses beats one that has not", commands=of_any_seed(e, "thoughts")
    )
    verdict = _compare(
        entry, "after − before:", rows_of(e, "thoughts", "guesses"), rows_of(e, "thoughts", "start"), BY_NDCG
    )
    met, taught = rows_of(e, "levers", "see-count-guesses"), rows_of(e, "levers", "see-count")
    if found := difference([met], [taught], "NDCG@10"):
        entry.effects.append(Effect("after hindsight lessons (one seed, validation): NDCG@10", found[0]))
    return enough(entry, verdict)


def e5(e: Study) -> Entry:
    """One round of the loop on requests of shoppers who have a past, against its start and against the same round on
    the oldest requests."""
    entry = Entry(
        "E5", "the loop improves its start when its pool has a past", commands=of_any_seed(e, "newcomers", "passes")
    )
    start, rl, sft = rows_of(e, "thoughts", "start"), *(rows_of(e, "newcomers", f"rgrpo-{n}") for n in ("rl", "sft"))
    verdict = _compare(entry, "after one round:", sft, start, BY_NDCG)
    if verdict is None:
        return Entry(entry.id, entry.claim)
    _compare(entry, "R-GRPO − before:", rl, start, ("NDCG@10", "utility"), -1)
    _compare(entry, "SFT − R-GRPO:", sft, rl, ("NDCG@10",))
    _compare(entry, "after one round, on cold starts:", sft, start, ("NDCG@10",), cold=True)
    slow = rows_of(e, "passes", "round1-sft")
    alone, tried = rows_of(e, "newcomers", "sft"), rows_of(e, "thoughts", "start-valid")
    pairs = {
        "this pool − the oldest requests, R-GRPO": (rl, rows_of(e, "explorers", "rgrpo-round0-rl")),
        "this pool − the oldest requests, one round": (sft, rows_of(e, "explorers", "rgrpo-round0-sft")),
        "the SFT at a rate that validation chose (2e-5) − before": (rows_of(e, "passes", "kept-lr=2e-05"), start),
        "two rounds with that SFT − before": (slow, start),
        "as long a pass over unfiltered lessons (6e-4) − before": (rows_of(e, "passes", "again-lr=0.0006"), start),
        "R-GRPO at its own rate − before (validation)": (rows_of(e, "passes", "rgrpo-valid"), tried),
        "R-GRPO at three times its rate − before (validation)": (rows_of(e, "passes", "rgrpo-lr=0.0003-valid"), tried),
        "SFT alone − before": (alone, start),
        "this pool − the oldest requests, SFT alone": (alone, rows_of(e, "schedules", "sft")),
    }
    cold = "two rounds with that SFT, on cold starts"
    for label, (a, b) in (pairs | {cold: (slow, start)}).items():
        if found := difference([a], [b], "NDCG@10", cold=label == cold):
            seeds = "" if found[1] == entry.seeds else f" ({open_questions.COUNTED[found[1]]})"
            entry.effects.append(Effect(f"{label}{seeds}: NDCG@10", found[0]))
    return enough(entry, verdict)


def goal(e: Study) -> Entry:
    """How near one thought comes to the informed ceiling, and where the rest is lost."""
    entry = Entry("G", f"our goal: one thought reaches {GOAL} of the informed ceiling's NDCG@10")
    ceiling, crs = rows_of(e, "answers", "informed").get(0), rows_of(e, "thoughts", "start")
    if not ceiling or not crs:
        return entry
    top = values(ceiling, "NDCG@10")
    own = [values(r, "NDCG@10") for r in crs.values()]
    true = [values({"ranks": r["true_reasoning_ranks"]}, "NDCG@10") for r in crs.values()]
    share = hierarchical([x / top.mean() for x in own])
    entry.effects = [f"the start: share of the ceiling {share.mean:.2f} [{share.low:.2f}, {share.high:.2f}]"]
    best = best_rate(e, "thought")
    few = f" ({open_questions.COUNTED[len(best)]})" if 0 < len(best) < SEEDS else ""
    beside = {
        f"one thought at its best rate{few}": best,
        "after two rounds": rows_of(e, "explorers", LAST),
        "the counting model": counting(e, {0: {}}),
    }
    for name, of in beside.items():
        if of:
            d = hierarchical([values(r, "NDCG@10") / top.mean() for r in of.values()])
            entry.effects.append(f"{name}: {d.mean:.2f} [{d.low:.2f}, {d.high:.2f}]")
    lost = [hierarchical([t - top for t in true]), hierarchical([o - t for o, t in zip(own, true, strict=True)])]
    entry.effects.append(Effect("the start loses between ceiling and true reasoning (decoder)", lost[0]))
    entry.effects.append(Effect("between true and own reasoning (reasoner)", lost[1]))
    made_by = [name for name in ("answers", "thoughts", "rates") if name in e]
    entry.seeds, entry.about, entry.commands = len(own), next(iter(crs.values())), of_any_seed(e, *made_by)
    entry.hardware = sorted({row["hardware"] for of in e.values() for rows in of.values() for row in rows.values()})
    return enough(entry, "reached" if share.low >= GOAL else "missed")


CLAIMS = (c1, c2, c3, c4, lambda e: c2(e, cold=True), b1, o1, e1, e2, e3, e4, e5, goal)


def ledger(folder: Path) -> list[Entry]:
    """Every claim under the second protocol, judged by the rows in `folder`, then those of the fourth."""
    found = {name: gather(folder, name) for name in (*EXPERIMENTS, *AFTERWARDS, "schedules")}
    return [claim(found) for claim in CLAIMS] + open_questions.ledger(folder)
