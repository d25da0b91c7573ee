"""Minutes of the `colab` profile on a T4, by arithmetic: nobody has measured them.

What a run computes is counted from its lessons and budgets. How fast a T4 does it is a data sheet and three guesses,
each with a slow and a fast end.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from crs_lite.profiles import Profile
from crs_lite.study.pretrained import Counted

# NVIDIA's data sheet of the T4: operations a second in float16 with tensor cores, and in float32.
HALF, SINGLE = 65e12, 8.1e12
FEEDS = 3  # passes of a beam search: an ID has four tokens, and the first needs none of its own


class Speed(NamedTuple):
    """Guesses: the shares of the two peaks that are reached, and the seconds that no pass is shorter than."""

    half: float
    single: float
    a_pass: float


SLOW, FAST = Speed(0.15, 0.3, 0.08), Speed(0.25, 0.6, 0.03)


class Work(NamedTuple):
    """What a stage computes: tokens it learns from in float16 (`operations` a weight and token), tokens it reads in
    float32 (2 a weight and token), and passes that wait for each other."""

    stage: str
    learnt: float = 0.0
    operations: int = 6  # forward 2, backward 4
    read: float = 0.0
    passes: int = 0

    def minutes(self, parameters: int, speed: Speed) -> float:
        """At that speed, for a model of so many weights."""
        learning = self.operations * parameters * self.learnt / (HALF * speed.half)
        reading = 2 * parameters * self.read / (SINGLE * speed.single)
        return (learning + reading + self.passes * speed.a_pass) / 60


def lists(stage: str, n: int, batch: int, context: float, thought: int, branches: int = 1, beams: int = 10) -> Work:
    """Ranking n requests, so many at a time: the context once, then thoughts token by token, then beams. Every thought
    is counted at its longest, for a batch waits for it."""
    tokens = n * (context + branches * (thought + FEEDS * beams))
    return Work(stage, read=tokens, passes=ceil(n / batch) * (1 + thought + FEEDS))


def forced(stage: str, n: int, batch: int, context: float, thought: float) -> Work:
    """Ranking n requests whose thoughts, of that mean length, are given: two passes, then beams."""
    return Work(stage, read=n * (context + thought + FEEDS * 10), passes=ceil(n / batch) * (2 + FEEDS))


def work(made: Counted, profile: Profile) -> list[Work]:
    """All stages of `pipeline.run` that the backbone works in. At most: every collected thought is kept, no group of
    an RL step is silent."""
    length = {s.stage: s.length for s in made.stages}
    context, mean = length["direct"], length["distillation"] - length["direct"]
    longest, batch, n = min(profile.max_reasoning, profile.max_conclusion), profile.eval_batch, profile.eval_requests
    kept = profile.collect_requests * profile.sft_epochs
    group = profile.rl_prompts * (context + profile.rl_group * mean)  # tokens of an RL step
    rollouts = lists(
        "", profile.rl_prompts * profile.rl_steps, profile.rl_prompts, context, longest, profile.rl_group,
        profile.rl_beams,
    )  # fmt: skip
    collected = ("collecting", profile.collect_requests, batch, context, longest, profile.collect_samples, 4)
    thinking = lists("four checkpoints think and rank", 4 * n, batch, context, longest)
    probes = forced("", 4 * (n + min(n, profile.intervened)), batch, context, mean)
    merged = f"{profile.thoughts} thoughts merged"
    return [
        *(Work(s.stage, learnt=s.tokens) for s in made.stages),
        lists("sorting the pool", profile.collect_requests, batch, context, longest, beams=4),
        # Each part of an update is computed once more, and the reference once: 10 operations instead of 6.
        rollouts._replace(stage="R-GRPO", learnt=profile.rl_steps * group, operations=10),
        lists(*collected),
        Work("consolidation, twice", learnt=2 * kept * length["distillation"]),
        forced("two checkpoints answer at once", 2 * n, batch, context, 1),
        thinking,
        probes._replace(stage="their probes"),
        lists(merged, n, max(1, batch // 4), context, longest, profile.thoughts, 20),
    ]


def markdown(made: Counted, profile: Profile) -> str:
    """The table for a page, its assumptions below it."""
    rows = work(made, profile)
    lines = ["| stage | tokens learnt | tokens read | passes | minutes, estimated |", "|" + " --- |" * 5]
    for row in rows:
        cells = [f"{x:,.0f}" if x else "" for x in (row.learnt, row.read, row.passes)]
        lines.append(f"| {row.stage} | " + " | ".join([*cells, _span([row], made.parameters)]) + " |")
    lines.append(f"| all |  |  |  | {_span(rows, made.parameters)} |")
    fast, slow = ([f"{x:g}" for x in of] for of in (FAST, SLOW))
    said = (
        f"Estimates: nobody has measured them. {made.parameters:,} weights. Learning takes 6 operations a weight and "
        f"token (R-GRPO 10), of {HALF / 1e12:g} TFLOP/s in float16, of which a share of {slow[0]} to {fast[0]} is "
        f"assumed, the optimiser's time in it; reading takes 2, of {SINGLE / 1e12:g} TFLOP/s in float32, share "
        f"{slow[1]} to {fast[1]}; a pass waits for the one before it and takes {fast[2]} to {slow[2]} seconds beside. "
        "The peaks stand in NVIDIA's data sheet of the T4, the shares and seconds are guesses. Lessons as counted by "
        f"`{made.command}`, budgets of the profile `{profile.name}`; `python -m crs_lite hours`."
    )
    return "\n".join(lines) + f"\n\n{said}\n"


def _span(rows: Sequence[Work], parameters: int) -> str:
    fast, slow = (sum(row.minutes(parameters, speed) for row in rows) for speed in (FAST, SLOW))
    return f"{fast:.0f} to {slow:.0f}" if fast >= 1 else f"{fast:.1f} to {slow:.1f}"
