"""How much of what is lost is the size of the backbone? Judges no claim."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial

from crs_lite.prepared import Prepared, prepare
from crs_lite.study.experiments.shared import Made, tested
from crs_lite.study.recorded import Row
from crs_lite.training import align, distil


def capacity(p: Prepared) -> Made:
    """The distilled start, and the aligned model's direct answer, at half the width and at one and a half times the
    width, everything else as it is."""

    def row(name: str, width: int, reason: str) -> Row:
        profile = replace(p.profile, hidden=width, ffn=p.profile.ffn * width // p.profile.hidden)
        other = prepare(p.log, p.truth, profile, p.seed, p.work.root / name, p.shipped)
        if reason == "none":
            found = tested(other, f"aligned, {name}", align(other), "none")
        else:
            found = tested(other, f"distilled SFT, {name}", distil(other, align(other)))
        return {**found, "profile": asdict(profile), "parameters": other.fresh.info}

    for name, width in (("half-width", p.profile.hidden // 2), ("wider", p.profile.hidden * 3 // 2)):
        yield name, partial(row, name, width, "own")
        yield f"{name}-aligned", partial(row, name, width, "none")
