"""Every log that a command can open, by name. A new format is one module beside this one and one entry in `FORMATS`.

The contract of a real format: its `read` returns an `assemble.Read` (log, account, sessions), its account has kept or
skipped every row of every file, and a malformed row is a `CRSError` that names file, row, field and remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from crs_lite import marketplace
from crs_lite.adapters import amazon2023, checks, kuaisearch, mylog, ubi
from crs_lite.adapters.assemble import Read
from crs_lite.errors import CRSError
from crs_lite.logs import SearchLog
from crs_lite.paths import SHIPPED


class Opened(NamedTuple):
    """A log, its truth if somebody knows one (see `prepared.Truth`), and item embeddings if some came with it.

    `about`: of a real log, the account of its rows and the checks on it, for a results file.
    """

    log: SearchLog
    truth: marketplace.Truth | None = None
    embeddings: Path | None = None
    about: dict | None = None


@dataclass(frozen=True)
class Format:
    """How one kind of log is opened. `files`: what it reads, option -> what that is; `open` takes them by these
    names. `fields`: option -> field of that file -> what it is. `bytes_a_search`: memory at the peak, for each search
    kept."""

    open: Callable[..., Opened]
    files: Mapping[str, str]
    needed: tuple[str, ...] = ()
    title: str = ""
    fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    bytes_a_search: int | None = None


def _marketplace(world: Path | None = None) -> Opened:
    folder = world or SHIPPED
    log, truth = marketplace.load(folder)
    embeddings = folder / "embeddings.safetensors"
    return Opened(log, truth, embeddings if embeddings.exists() else None)


def _marketplace_large() -> Opened:
    log, truth = marketplace.generate_large()
    return Opened(log, truth, SHIPPED / "embeddings.safetensors")  # the same items


def _real(read: Callable[..., Read]) -> Callable[..., Opened]:
    """Reads, says what became of every row and what to know of the log, and hands both on."""

    def open(**files: Path) -> Opened:
        log, account, sessions = read(**files)
        print(account)
        found = checks.check(log, sessions)
        print(checks.words_of(found))
        return Opened(log, about={"account": account.as_dict(), "checks": found})

    return open


JSON = "JSON lines, .gz or not"
TABLE = "CSV, parquet or JSON lines"
FORMATS: dict[str, Format] = {
    "marketplace": Format(
        _marketplace,
        {"world": "folder of a generated marketplace (default: the shipped one)"},
        title="the simulated shop that comes with the project",
    ),
    "marketplace-large": Format(_marketplace_large, {}, title="the same shop with about 145,000 requests"),
    "amazon2023": Format(
        _real(amazon2023.read),
        {"reviews": "reviews file (.jsonl or .jsonl.gz)", "meta": "metadata file (.jsonl or .jsonl.gz)"},
        needed=("reviews", "meta"),
        title="Amazon Reviews 2023: real items and shoppers, made-up queries",
        fields=amazon2023.FIELDS,
        bytes_a_search=amazon2023.BYTES_A_SEARCH,
    ),
    "ubi": Format(
        _real(ubi.read),
        {
            "queries": f"the index ubi_queries ({JSON}; plain, bulk format or exported hits)",
            "events": "the index ubi_events, likewise; may be the same file",
            "items": f"the shop's items ({TABLE})",
        },
        needed=("queries", "events", "items"),
        title="OpenSearch User Behavior Insights 1.x (has not met a real shop's file)",
        fields=ubi.FIELDS | {"items": mylog.FIELDS["items"]},
        bytes_a_search=ubi.BYTES_A_SEARCH,
    ),
    "kuaisearch": Format(
        _real(kuaisearch.read),
        {
            "items": f"the file of items ({JSON})",
            "recall": f"one row a search ({JSON})",
            "rank": "one row for each item of a search, optional",
            "users": "profiles, optional",
        },
        needed=("items", "recall"),
        title="KuaiSearch: real searches of Kuaishou's shop (has not met the whole published log)",
        fields=kuaisearch.FIELDS,
        bytes_a_search=kuaisearch.BYTES_A_SEARCH,
    ),
    "mylog": Format(
        _real(mylog.read),
        {
            "items": f"the shop's items ({TABLE})",
            "searches": f"one row a search ({TABLE})",
            "users": f"profiles ({TABLE}), optional",
        },
        needed=("items", "searches"),
        title="a log of your own, as three tables",
        fields=mylog.FIELDS,
        bytes_a_search=mylog.BYTES_A_SEARCH,
    ),
}


def options() -> dict[str, str]:
    """Every option that names a file, and what the formats read from it."""
    found: dict[str, list[str]] = {}
    for name, form in FORMATS.items():
        for option, what in form.files.items():
            found.setdefault(option, []).append(f"{name}: {what}")
    return {option: "; ".join(said) for option, said in found.items()}


def help() -> str:
    """Formats, their files and fields, as `--log help` shows them."""
    lines = ["--log NAME, and the files it reads. Files ending in .gz are unpacked on the way (not parquet)."]
    for name, form in FORMATS.items():
        lines += ["", f"--log {name}: {form.title}"]
        for option, what in form.files.items():
            lines.append(f"  --{option} FILE    {what}" + (" [needed]" if option in form.needed else ""))
            lines += [f"      {field}: {said}" for field, said in form.fields.get(option, {}).items()]
        if form.bytes_a_search:
            lines.append(f"  memory: about {form.bytes_a_search} bytes for each search kept, and the items")
    return "\n".join(lines)


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

    def words(self, known: str = "marketplace") -> str:
        """The words of a command that name this log; none for the one that is `known` without."""
        name = f" --log {self.name}" if self.name != known else ""
        return name + "".join(f" --{option} {quote(str(path))}" for option, path in self.files.items())
