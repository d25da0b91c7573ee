"""Does reasoning pay: one thought, sixteen merged, and what is left of them without their conclusion? E1, E2, E4, C1.

The recipe is the run's `reasoning`, `teacher` and `replay`. `levers` chose it on validation; it is not the profile's
own, so a command that makes recorded rows names it with `--set` (see `book/protocol-2.md`).
"""

from __future__ import annotations

from functools import partial

from crs_lite.prepared import Prepared
from crs_lite.study.controls import Swapped, given
from crs_lite.study.experiments.levers import GUESSES
from crs_lite.study.experiments.shared import Made, checked, later, tested, thoughts_row
from crs_lite.training import align, distil, own_guesses


def thoughts(p: Prepared) -> Made:
    """The distilled start and the same after it has met its own guesses: with one thought, with none, with what is
    seen and counted alone, under another request's conclusion, and with merged thoughts."""
    start = later(distil, p, later(align, p))
    for name, stage in (("start", start), ("guesses", later(own_guesses, p, start, GUESSES))):
        yield name, partial(tested, p, name, stage)
        yield f"{name}-valid", partial(checked, p, name, stage)
        yield f"{name}-empty", partial(tested, p, f"{name}, empty thought", stage, "none")
        yield f"{name}-thoughts", partial(thoughts_row, p, name, stage, "test")
        if p.perception.how != "conclude":
            label = f"{name}, no conclusion"
            bare = partial(given, p, p.perception.write, label)
            yield f"{name}-seen", partial(tested, p, label, stage, "none", bare)
        label = f"{name}, other conclusion"
        yield f"{name}-other", partial(tested, p, label, stage, "none", partial(Swapped, p, label))
