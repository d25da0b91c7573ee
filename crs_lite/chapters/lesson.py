"""What every chapter begins and ends with: the running example, the box that says what a run costs, the self-check."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import BaseModel, FiniteFloat

from crs_lite.errors import CRSError
from crs_lite.files import read_json
from crs_lite.logs import SearchLog, SearchRequest
from crs_lite.paths import CHAPTERS

if TYPE_CHECKING:
    from crs_lite.tasks import Codec  # brings torch and transformers, which who only runs notebooks can do without

ANSWERS = Path(__file__).with_name("answers.json")
HEADLINE_MIME = "application/x-crs-headline+json"  # how a recorded metric stands in a notebook's output
RESTORE = "restore the file."
MADE_FOR = {"smoke": "any CPU", "laptop": "2 CPU cores", "colab": "one T4", "gpu": "one large GPU"}


class Recorded(BaseModel):
    """What a recorded run of a chapter took and reached."""

    minutes: FiniteFloat
    peak_mb: int
    headlines: dict[str, FiniteFloat]
    hardware: str
    date: str = ""


class Answer(BaseModel):
    """The answer to an exercise, and what helps to find it."""

    answer: Any
    hint: str
    tolerance: FiniteFloat = 1e-6


def running_example(log: SearchLog) -> SearchRequest:
    """The request that the whole book follows: "case", asked by an experienced shopper who owns a console.

    From the validation split, so no model was trained on it. Raises `CRSError` for a log without such a request.
    """
    for request in log.split("valid"):
        if request.query == "case" and "console" in log.users[request.user].profile and log.n_past(request) >= 8:
            return request
    raise CRSError(f"log {log.name!r} has no request like the book's example; use the shipped marketplace.")


def headline(name: str, value: float) -> None:
    """Show a chapter's main metric and record it in the notebook's output, where `headlines` finds it again.

    Raises `CRSError` when `value` is not a finite number.
    """
    from IPython.display import display

    value = float(value)
    if not math.isfinite(value):
        raise CRSError(f"headline {name!r} is {value}; record a finite number.")
    display({HEADLINE_MIME: {"name": name, "value": value}, "text/plain": f"{name}: {value:.4g}"}, raw=True)


class Whole(pd.DataFrame):
    """A table that a notebook shows with its long cells uncut."""

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", None):
            return super()._repr_html_()

    def __repr__(self) -> str:
        with pd.option_context("display.max_colwidth", None):
            return super().__repr__()


def recorded_minutes(chapter: str, profile: str) -> float | None:
    """What the recorded run of a chapter took; None where none was."""
    known = read_json(CHAPTERS, dict[str, dict[str, Recorded]], RESTORE) if CHAPTERS.exists() else {}
    run = known.get(chapter, {}).get(profile)
    return run.minutes if run else None


def run_box(chapter: str) -> pd.DataFrame:
    """Profile -> what it is made for, and what a recorded run of this chapter took and reached ("not run" where none
    was)."""
    known = read_json(CHAPTERS, dict[str, dict[str, Recorded]], RESTORE).get(chapter, {}) if CHAPTERS.exists() else {}
    rows = {}
    for name in MADE_FOR:
        run = known.get(name)
        rows[name] = {
            "made for": MADE_FOR[name],
            "minutes": f"{run.minutes:.1f}" if run else "not run",
            "memory, MB": f"{run.peak_mb:.0f}" if run else "",
            "to expect": ", ".join(f"{k} {v:.3f}" for k, v in run.headlines.items()) if run else "",
        }
    return Whole(pd.DataFrame.from_dict(rows, orient="index").rename_axis("profile"))


BECAME = {
    "1 search box": "a request and its target",
    "2 context": "a JSON text of limited length",
    "3 semantic IDs": "a target that can be written",
    "4 tries and beams": "a ranked list of real items",
    "5 alignment": "a direct answer",
    "6 teachers": "a reasoned answer",
    "7 GRPO": "a group of eight tries",
    "8 R-GRPO": "a group of eight lists",
    "9 loop": "a check, never a lesson: it is not in the pool",
}  # chapter -> what the running example has become at its end


def so_far(codec: Codec, request: SearchRequest, chapter: int, *here: str) -> pd.DataFrame:
    """What the request has become up to the end of `chapter`. `here`: what to say of chapters 4, 5, ... in turn.

    Raises `CRSError` unless every chapter after the third has its word."""
    kept = len(codec.context(request).history)
    known = [
        f"{request.query!r} -> {codec.log.items[request.target].title}",
        f"{len(codec.prompt(request))} tokens, {kept} of the latest {min(10, codec.log.n_past(request))} interactions",
        codec.sids.to_string(request.target),
    ]
    if len(here) != max(0, chapter - len(known)) or not 1 <= chapter <= len(BECAME):
        raise CRSError(f"so_far: chapter {chapter} of {len(BECAME)} with {len(here)} words of its own; give one each.")
    rows = zip(list(BECAME)[:chapter], BECAME.values(), [*known, *here], strict=False)
    return Whole(pd.DataFrame(rows, columns=["chapter", "what it became", "here"]).set_index("chapter"))


def check(label: str, answer) -> bool:
    """Is this the answer to the exercise? Prints the verdict, offline. Numbers may differ by the stated tolerance.

    Raises `CRSError` for an exercise that has no answer to check.
    """
    known = read_json(ANSWERS, dict[str, Answer], RESTORE)
    if label not in known:
        raise CRSError(f"check: no exercise {label!r}; use one of {', '.join(sorted(known))}.")
    right = _same(answer, known[label].answer, known[label].tolerance)
    print(f"{label}: " + ("right" if right else "not yet. " + known[label].hint))
    return right


def _same(a, b, tolerance: float) -> bool:
    if isinstance(b, (list, tuple)):
        try:
            a = list(a)
        except TypeError:
            return False
        return len(a) == len(b) and all(_same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(b, (int, float)) and not isinstance(b, bool):
        try:
            return math.isclose(float(a), b, rel_tol=tolerance, abs_tol=tolerance)
        except (TypeError, ValueError, OverflowError):
            return False
    try:
        return bool(a == b)  # tables and arrays compare cell by cell, and have no truth value
    except Exception:
        return False
