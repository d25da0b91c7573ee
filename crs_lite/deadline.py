"""A command that ends in time: `--minutes` says when, and long work asks at its safe points whether that has come.

A safe point is where everything made so far is kept: between two stages, two rows, two training steps.
"""

from __future__ import annotations

from time import time

_until: float | None = None  # seconds since 1970, so that other processes understand it; None: no end


class OutOfTime(Exception):
    """The time that was given is over, at a safe point. The message says where."""


def set_to(until: float | None) -> None:
    """From now on the end is `until`, in seconds since 1970, or never."""
    global _until
    _until = until


def after(minutes: float | None) -> float | None:
    """The moment so many minutes from now; None for None."""
    return None if minutes is None else time() + 60 * minutes


def end() -> float | None:
    """What `set_to` was given last."""
    return _until


def passed() -> bool:
    """Whether the end has come."""
    return _until is not None and time() >= _until


def check(where: str) -> None:
    """At a safe point: raises `OutOfTime` when the end has come."""
    if passed():
        raise OutOfTime(where)
