"""Every log that a command can open, by name. A new format is one module beside this one and one entry in `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from crs_lite import marketplace
from crs_lite.adapters import amazon2023
from crs_lite.errors import CRSError
from crs_lite.logs import SearchLog
from crs_lite.paths import SHIPPED


class Opened(NamedTuple):
    """A log, its truth if somebody knows one (see `prepared.Truth`), and item embeddings if some came with it."""

    log: SearchLog
    truth: marketplace.Truth | None = None
    embeddings: Path | None = None


@dataclass(frozen=True)
class Format:
    """How one kind of log is opened. `files`: what it reads, option -> what that is; `open` takes them by these
    names."""

    open: Callable[..., Opened]
    files: Mapping[str, str]
    needed: tuple[str, ...] = ()


def _marketplace(world: Path | None = None) -> Opened:
    folder = world or SHIPPED
    log, truth = marketplace.load(folder)
    embeddings = folder / "embeddings.safetensors"
    return Opened(log, truth, embeddings if embeddings.exists() else None)


def _marketplace_large() -> Opened:
    log, truth = marketplace.generate_large()
    return Opened(log, truth, SHIPPED / "embeddings.safetensors")  # the same items


def _amazon2023(reviews: Path, meta: Path) -> Opened:
    log, what_it_did = amazon2023.load_with_report(reviews, meta)
    print(what_it_did)
    return Opened(log)


FORMATS: dict[str, Format] = {
    "marketplace": Format(_marketplace, {"world": "folder of a generated marketplace (default: the shipped one)"}),
    "marketplace-large": Format(_marketplace_large, {}),  # made in seconds, not shipped
    "amazon2023": Format(
        _amazon2023,
        {"reviews": "reviews file (.jsonl or .jsonl.gz)", "meta": "metadata file (.jsonl or .jsonl.gz)"},
        needed=("reviews", "meta"),
    ),
}


@dataclass(frozen=True)
class LogSource:
    """Which log, from which files (option -> path). It can be sent to another process."""

    name: str = "marketplace"
    files: Mapping[str, Path] = field(default_factory=dict)

    def open(self) -> Opened:
        """Raises `CRSError` for an unknown format, a file it does not read, one that is missing, or what its reader
        says."""
        if self.name not in FORMATS:
            raise CRSError(f"unknown log {self.name!r}; use one of {', '.join(FORMATS)}.")
        form = FORMATS[self.name]
        missing = [option for option in form.needed if option not in self.files]
        if missing:
            wanted = " and ".join(f"--{option} FILE" for option in form.needed)
            raise CRSError(f"--log {self.name} needs {wanted}.")
        if extra := sorted(set(self.files) - set(form.files)):
            raise CRSError(f"--log {self.name} does not read --{extra[0]}; drop it.")
        return form.open(**self.files)

    def words(self) -> str:
        """The words of a command that name this log; none for the shipped one."""
        name = f" --log {self.name}" if self.name != "marketplace" else ""
        return name + "".join(f" --{option} {path}" for option, path in self.files.items())
