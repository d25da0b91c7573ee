"""What the enumerable shop shows, as plain numbers; and the tables a page prints from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crs_lite.enumerable import exact, groups
from crs_lite.enumerable.policy import Policy
from crs_lite.enumerable.shop import CONTEXTS, TWO_TASTES, WORDS, lessons, name, say, thoughts, truth
from crs_lite.enumerable.training import Settings, Trainer

SEEDS = (0, 1, 2, 3, 4)
LOOP = {"rl": 150, "consolidate": 100, "rounds": 3, "only_wrong": True}
LONG = 1200  # steps of RL that show where it goes
TARGETS = (0, 7, 2)  # in the context of two tastes: the likelier, the other, and a rare click
BIASES = (0.0, 0.5, 1.0)
NOISY = 0.5
PAY = 0.3  # for a true fact, where facts are paid for
PRIOR_ITEM = "lamp Alba dark"  # what the teacher's prior thought says where a lamp is asked for
ARMS = {"list": "whole list (R-GRPO)", "first": "first place of it", "drawn": "one drawn ID (GRPO)"}


def trained(settings: Settings, until: int | None = None) -> Policy:
    """The policy after `until` steps of a run, or at its end."""
    trainer = Trainer(settings)
    for _ in trainer.run(until):
        pass
    return trainer.policy


def distilled(seed: int, bias: float = 0.0) -> Policy:
    """Aligned and distilled, as every run with this seed and bias is when its RL begins."""
    return trained(Settings(seed=seed, bias=bias, rl=0))


def commits(seeds: tuple[int, ...] = SEEDS) -> dict:
    """One greedy thought commits; the sum over all thoughts gives the doubt back. In one context, and on average.

    -> `thought`, its `prob`; `lists`: source -> [(item, probability)]; `quality`: source -> expected NDCG@6 here;
    `average`: seed -> `exact.measure` of the distilled policy; `ceiling`.
    """
    s, wanted = exact.sums(distilled(seeds[0]), TWO_TASTES), truth()[TWO_TASTES]
    sources = {"truth": wanted, "one": s.items[s.greedy], "merged": s.merged, "direct": s.items[0]}
    return {
        "context": CONTEXTS[TWO_TASTES],
        "thought": say(thoughts()[s.greedy]),
        "prob": float(s.prob[s.greedy]),
        "lists": {k: [(name(i), float(p[i])) for i in exact.best(p)] for k, p in sources.items()},
        "quality": {k: float(exact.quality(exact.best(p), wanted)) for k, p in sources.items()},
        "average": {str(seed): exact.measure(distilled(seed)) for seed in seeds},
        "ceiling": exact.ceiling(),
    }


def luck_share(policy: Policy) -> float:
    """Over all requests: of the variance of GRPO's reward, the share that comes from the drawn ID."""
    parts = {"thought": 0.0, "draw": 0.0}
    for c, row in enumerate(truth()):
        s = exact.sums(policy, c)
        for item, p in enumerate(row):
            for part, variance in groups.luck(s, item).items():
                parts[part] += p * variance
    return parts["draw"] / sum(parts.values())


def noise(seeds: tuple[int, ...] = SEEDS, biases: tuple[float, ...] = BIASES, group: int = 8) -> dict:
    """How noisy a group is as a judge of thoughts, before RL.

    -> `luck`: bias -> seed -> `luck_share`. In one context, after the teacher with the middle bias, target -> judge ->
    its `value`, the `groups` whose mean has as much signal as noise, and the probability of a `silent` group.
    """
    luck = {str(b): {str(seed): luck_share(distilled(seed, b)) for seed in seeds} for b in biases}
    policy = distilled(seeds[0], NOISY)
    s, score = exact.sums(policy, TWO_TASTES), exact.scores(policy, TWO_TASTES)
    targets: dict = {}
    for target in TARGETS:
        targets[name(target)] = {"clicked": float(truth()[TWO_TASTES, target])}
        for judge in ARMS:
            found = groups.group_noise(*groups.outcomes(s, target, judge), score, group)
            targets[name(target)][judge] = {
                "value": exact.value(s, target, judge),
                "groups": found.groups_needed,
                "silent": found.silent,
            }
    return {"context": CONTEXTS[TWO_TASTES], "bias": NOISY, "group": group, "luck": luck, "targets": targets}


def judged(seeds: tuple[int, ...] = SEEDS, biases: tuple[float, ...] = BIASES[:2]) -> dict:
    """What a run comes to by each judge: bias -> judge -> seed -> `exact.measure` at its end."""
    return {
        f"{bias:g}": {
            judge: {str(s): exact.measure(trained(Settings(seed=s, bias=bias, judge=judge))) for s in seeds}
            for judge in ARMS
        }
        for bias in biases
    }


def sharpens(seeds: tuple[int, ...] = SEEDS, steps: int = LONG) -> dict:
    """RL sharpens and loses variety: seed -> `before`, `after`: `exact.measure`, and in the context of two tastes the
    greedy `thought` and what its list is worth, `here`."""
    out = {}
    for seed in seeds:
        trainer = Trainer(Settings(seed=seed, rl=steps))
        states = {}
        for when, until in (("before", len(trainer.plan) - steps), ("after", None)):
            list(trainer.run(until))
            s = exact.sums(trainer.policy, TWO_TASTES)
            here = float(exact.quality(s.lists[s.greedy], truth()[TWO_TASTES]))
            states[when] = exact.measure(trainer.policy) | {"thought": say(thoughts()[s.greedy]), "here": here}
        out[str(seed)] = states
    return out


def ideal_prior(bias: float) -> float:
    """How often the thoughts of a perfect student of this teacher name the teacher's prior, on average."""
    pair = {WORDS.index("Alba"), WORDS.index("dark")}
    of_item = [sum(p for t, p in lessons(i, bias).items() if pair <= set(t)) for i in range(truth().shape[1])]
    return float((truth() @ of_item).mean())


def meant(policy: Policy) -> str:
    """The item first in the list behind the teacher's prior thought, `PRIOR_ITEM`, in the context of two tastes."""
    said = thoughts().index(tuple(WORDS.index(w) for w in PRIOR_ITEM.split()))
    return name(int(exact.sums(policy, TWO_TASTES).lists[said, 0]))


def mends(seeds: tuple[int, ...] = SEEDS, biases: tuple[float, ...] = BIASES, loop: dict | None = None) -> dict:
    """What three rounds of the loop make of a biased teacher's student: bias -> seed -> `before`, `after`.

    Beside `exact.measure`: `meant`.
    """
    out: dict = {}
    for bias in biases:
        out[str(bias)] = {}
        for seed in seeds:
            trainer = Trainer(replace(Settings(seed=seed, bias=bias), **(loop or LOOP)))
            states = {}
            for when, until in (("before", trainer.settings.align + trainer.settings.distil), ("after", None)):
                list(trainer.run(until))
                states[when] = exact.measure(trainer.policy) | {"meant": meant(trainer.policy)}
            out[str(bias)][str(seed)] = states
    return out


def pays(seeds: tuple[int, ...] = SEEDS, prices: tuple[float, ...] = (0.0, PAY)) -> dict:
    """RL that also pays for true facts, after a wholly biased teacher: price -> seed -> `exact.measure` at the end, and
    `meant` as in `mends`."""
    out: dict = {}
    for price in prices:
        policies = {str(seed): trained(Settings(seed=seed, bias=1.0, facts=price)) for seed in seeds}
        out[f"{price:g}"] = {seed: exact.measure(p) | {"meant": meant(p)} for seed, p in policies.items()}
    return out


def stages(settings: Settings | None = None) -> dict:
    """One run, as the page makes it when nothing is changed: stage -> `exact.measure` at its end."""
    trainer = Trainer(settings or Settings())
    ends = {stage: n + 1 for n, stage in enumerate(trainer.plan)}  # of a stage that comes again: the last
    out = {}
    for stage, end in ends.items():
        list(trainer.run(end))
        out[stage] = exact.measure(trainer.policy)
    return out


def everything() -> dict:
    """All of it, for the results file (two to five minutes on one core)."""
    four = {"commits": commits(), "noise": noise(), "sharpens": sharpens(), "mends": mends()}
    return four | {"judged": judged(), "pays": pays(), "stages": stages()}


# -- tables ---------------------------------------------------------------------------------------------------------


def tables(found: dict) -> dict[str, str]:
    """The results as Markdown: one table for each demonstration."""
    return {f"enumerable-{k}": _TABLES[k](found[k]) for k in _TABLES}


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n\n"


def _span(values: list[float], digits: int = 3) -> str:
    """Mean over the seeds, and the range."""
    low, mean, high = (f"{f(values):.{digits}f}" for f in (min, np.mean, max))
    return f"{mean} ({low}&nbsp;to&nbsp;{high})"


def _commits(found: dict) -> str:
    titles = {"truth": "truth", "one": "one thought", "merged": "all thoughts", "direct": "no thought"}
    places = len(found["lists"]["truth"])
    rows = [
        [str(k + 1), *(f"{found['lists'][s][k][0]} {found['lists'][s][k][1]:.3f}" for s in titles)]
        for k in range(places)
    ]
    rows.append(["NDCG@6 here", *(f"{found['quality'][s]:.3f}" for s in titles)])
    average = found["average"].values()
    of_all = [_span([a[s] for a in average]) for s in ("one", "merged", "direct")]
    rows.append(["NDCG@6, all contexts", f"{found['ceiling']:.3f}", *of_all])
    head = (
        f"Asked {found['context']}. The greedy thought is *{found['thought']}*, with probability {found['prob']:.3f}.\n"
    )
    return head + _table(["place", *titles.values()], rows)


def _noise(found: dict) -> str:
    rows = [[title, *("" for _ in found["targets"])] for title in ARMS.values()]
    for column, of in enumerate(found["targets"].values(), 1):
        for row, judge in zip(rows, ARMS, strict=True):
            row[column] = f"{of[judge]['groups']:.1f} ({of[judge]['silent']:.2f})"
    titles = [f"{target}, clicked {of['clicked']:.3f}" for target, of in found["targets"].items()]
    luck = [_span(list(of_bias.values())) for of_bias in found["luck"].values()]
    head = _table(["teacher's bias", *(f"{float(b):g}" for b in found["luck"])], [["share of luck", *luck]])
    return head + _table([f"groups of {found['group']} needed (silent)", *titles], rows)


def _judged(found: dict) -> str:
    lines = {"one": "NDCG@6, one thought", "merged": "NDCG@6, all thoughts", "entropy": "variety of thoughts, bits"}
    rows = [
        [title, bias, *(_span([m[key] for m in of_judge.values()]) for of_judge in found[bias].values())]
        for key, title in lines.items()
        for bias in found
    ]
    return _table(["after RL", "bias", *ARMS.values()], rows)


def _sharpens(found: dict) -> str:
    lines = {
        "entropy": "variety of thoughts, bits",
        "one": "NDCG@6, one thought",
        "merged": "NDCG@6, all thoughts",
        "true_words": "stated facets that are true",
        "fillers": "words that are fillers",
    }
    rows = [[t, *(_span([s[when][k] for s in found.values()]) for when in _WHEN)] for k, t in lines.items()]
    rows += [
        [f"two tastes, seed {seed}", *(f"*{s[when]['thought']}*: {s[when]['here']:.3f}" for when in _WHEN)]
        for seed, s in found.items()
    ]
    return _table(["", "distilled", f"after {LONG:,} steps of RL"], rows)


def _mends(found: dict) -> str:
    lines = {"one": "NDCG@6, one thought", "merged": "NDCG@6, all thoughts", "direct": "NDCG@6, no thought"}
    lines |= {"true_words": "stated facets that are true", "prior": "thoughts that say Alba and dark"}
    rows = []
    for key, title in lines.items():
        for when, then in _WHEN.items():
            spans = [_span([s[when][key] for s in seeds.values()]) for seeds in found.values()]
            rows.append([title, then, *spans])
    for when, then in _WHEN.items():
        other = [sum(s[when]["meant"] != PRIOR_ITEM for s in seeds.values()) for seeds in found.values()]
        of = [f"in {n} of {len(seeds)} runs" for n, seeds in zip(other, found.values(), strict=True)]
        rows.append([f"*{PRIOR_ITEM}* lists something else first", then, *of])
    return _table(["", "", *(f"bias {float(b):g}" for b in found)], rows)


def _pays(found: dict) -> str:
    lines = {
        "one": "NDCG@6, one thought",
        "merged": "NDCG@6, all thoughts",
        "true_words": "stated facets that are true",
        "prior": "thoughts that say Alba and dark",
        "fillers": "words that are fillers",
    }
    rows = [[t, *(_span([m[k] for m in seeds.values()]) for seeds in found.values())] for k, t in lines.items()]
    other = [sum(m["meant"] != PRIOR_ITEM for m in seeds.values()) for seeds in found.values()]
    of = [f"in {n} of {len(seeds)} runs" for n, seeds in zip(other, found.values(), strict=True)]
    rows.append([f"*{PRIOR_ITEM}* lists something else first", *of])
    return _table(["after RL, bias 1", *(f"a true fact earns {price}" for price in found)], rows)


def _stages(found: dict) -> str:
    titles = {"align": "aligned", "distil": "distilled", "rl": "after RL"}
    rows = [[title, *(f"{found[stage][k]:.3f}" for stage in titles)] for k, title in MEASURED.items()]
    return _table(["", *titles.values()], rows)


_WHEN = {"before": "distilled", "after": "after 3 rounds"}
MEASURED = {
    "one": "NDCG@6, one greedy thought",
    "merged": "NDCG@6, all thoughts merged",
    "direct": "NDCG@6, no thought",
    "entropy": "variety of thoughts, bits",
    "true_words": "stated facets that are true",
    "fillers": "words that are fillers",
    "prior": "thoughts that say Alba and dark",
}
_TABLES = {
    "commits": _commits,
    "noise": _noise,
    "judged": _judged,
    "sharpens": _sharpens,
    "mends": _mends,
    "pays": _pays,
    "stages": _stages,
}
