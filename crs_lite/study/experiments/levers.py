"""What makes reasoning pay? How it is taught, by whom, beside how many direct lessons, how many thoughts are merged;
and what answers without reasoning. Second edition: one seed, validation only. It chooses the recipe, judges no claim.
"""

from __future__ import annotations

from functools import partial

from crs_lite.baselines.counting import Counting
from crs_lite.prepared import Prepared, taught_as
from crs_lite.study.experiments.shared import TUNED, Made, checked, later, thoughts_row
from crs_lite.training import align, direct, distil, explore, own_guesses

# Two by two around the first: one lever is moved, the others stay.
VARIANTS: dict[str, dict] = {
    "see-count": {"reasoning": "see-count", "teacher": "hindsight", "replay": 0.25},
    "conclude": {"reasoning": "conclude", "teacher": "hindsight", "replay": 0.25},
    "foresight": {"reasoning": "see-count", "teacher": "foresight", "replay": 0.25},
    "no-replay": {"reasoning": "see-count", "teacher": "hindsight", "replay": 0.0},
    "half-replay": {"reasoning": "see-count", "teacher": "hindsight", "replay": 0.5},
}
KLS = (0.02, 0.1)  # how closely RL is held to its start
GUESSES = 5000  # requests on which the decoder meets its own thoughts


def levers(p: Prepared) -> Made:
    """Direct answers and the counting model, then each variant's one greedy thought, its answer after an empty thought,
    and its merged thoughts; then the same for a decoder that has met its own guesses."""
    for name, ranker in (("counting", lambda _: Counting(p.log)), ("informed", lambda _: p.truth.ranker("informed"))):
        if name != "informed" or p.truth:
            yield name, partial(checked, p, name, p.ids_stage, "none", ranker)
    aligned = later(align, p)
    yield "aligned", partial(checked, p, "aligned", aligned, "none")
    yield "direct-SFT", partial(checked, p, "direct SFT, all requests", later(direct, p, aligned), "none")
    for name, how in VARIANTS.items():
        q = taught_as(p, **how)
        taught = later(distil, q, aligned)
        yield f"{name}", partial(checked, q, name, taught, **how)
        yield f"{name}-empty", partial(checked, q, f"{name}, empty thought", taught, "none", **how)
        yield f"{name}-thoughts", partial(thoughts_row, q, name, taught, **how)
        if name in ("see-count", "foresight"):
            met = later(own_guesses, q, taught, GUESSES)
            yield f"{name}-guesses", partial(checked, q, f"{name}, own guesses", met, **how)
            yield f"{name}-guesses-empty", partial(checked, q, f"{name}, own guesses, empty", met, "none", **how)
            yield f"{name}-guesses-thoughts", partial(thoughts_row, q, f"{name}, own guesses", met, **how)
        if name == "see-count":
            for kl in KLS:
                explored = later(explore, q, taught, "rgrpo", f"lever-kl{kl}", **TUNED["rgrpo"], kl=kl)
                yield f"{name}-rgrpo-kl{kl}", partial(checked, q, f"R-GRPO, KL {kl}", explored, kl=kl, **how)
                yield (
                    f"{name}-rgrpo-kl{kl}-thoughts",
                    partial(thoughts_row, q, f"R-GRPO, KL {kl}", explored, kl=kl, **how),
                )
