"""An account of every row: for each file, rows read = rows kept + rows skipped, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

MOST_REASONS = 40  # of one file; a log's own words may stand in a reason, and there may be many


@dataclass
class FileAccount:
    """What became of the rows of one file. A row is a line of JSON lines, a record of CSV or parquet.

    `skipped`: reason -> rows. `notes`: what was done to rows that were kept, counted in rows. `unread`: fields of the
    first row that nobody asks for; one of them may be a wanted field under another name.
    """

    path: Path
    read: int = 0
    kept: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)

    def fields(self, there: Iterable[str], known: Container[str]) -> None:
        """Tells of the fields of a row; only the first is looked at."""
        if self.read == 1:
            self.unread = [name for name in there if name not in known]

    def skip(self, reason: str, rows: int = 1) -> None:
        """Rows of which nothing is used."""
        if rows:
            self.skipped[_bounded(reason, self.skipped)] += rows

    def drop(self, reason: str, rows: int = 1) -> None:
        """Rows that were kept until something later in the log spoke against them."""
        self.kept -= rows
        self.skip(reason, rows)

    def note(self, what: str, rows: int = 1) -> None:
        """Rows that were kept, changed in a way that a reader should know of."""
        if rows:
            self.notes[_bounded(what, self.notes)] += rows

    def check(self) -> None:
        """Raises `RuntimeError` when a row is neither kept nor skipped, or both: a defect of the reader."""
        if self.kept < 0 or self.read != self.kept + self.skipped.total():
            raise RuntimeError(f"{self.path}: {self.read} rows read, {self.kept} kept, skipped {dict(self.skipped)}.")

    def as_dict(self) -> dict:
        """For a results file: the name of the file, not where it lay."""
        return {
            "file": self.path.name,
            "read": self.read,
            "kept": self.kept,
            "skipped": dict(self.skipped.most_common()),
            "notes": dict(self.notes.most_common()),
            "unread": self.unread[:MOST_REASONS],
        }


@dataclass
class Account:
    """The accounts of a log's files, by the option that names the file; `notes`: what was done to whole searches."""

    log: str
    files: dict[str, FileAccount] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)

    def of(self, option: str, path: Path) -> FileAccount:
        """A new account of the file behind `--option`."""
        self.files[option] = FileAccount(Path(path))
        return self.files[option]

    def note(self, what: str, searches: int = 1) -> None:
        """Searches that were kept, changed in a way that a reader should know of."""
        if searches:
            self.notes[what] += searches

    def as_dict(self) -> dict:
        """For a results file. Checks every file first."""
        for file in self.files.values():
            file.check()
        files = {option: file.as_dict() for option, file in self.files.items()}
        return {"log": self.log, "files": files, "notes": dict(self.notes.most_common())}

    def in_short(self) -> str:
        """On one line, for a sentence about a log of which nothing is left."""
        files = self.as_dict()["files"].items()
        said = [
            ", ".join([f"{of['read']} rows", *(f"{n} {why}" for why, n in of["skipped"].items())]) for _, of in files
        ]
        return "; ".join(f"--{option}: {words}" for (option, _), words in zip(files, said, strict=True))

    def __str__(self) -> str:
        lines = [f"log {self.log}: every row that was read"]
        for option, file in self.as_dict()["files"].items():
            skipped = sum(file["skipped"].values())
            lines.append(f"  --{option} {file['file']}: {file['read']} read = {file['kept']} kept + {skipped} skipped")
            lines += [f"      {n} skipped: {reason}" for reason, n in file["skipped"].items()]
            lines += [f"      {n} kept, but: {what}" for what, n in file["notes"].items()]
            lines += [f"      fields not read: {', '.join(file['unread'])}"] if file["unread"] else []
        return "\n".join(lines + [f"  {n} searches: {what}" for what, n in self.notes.most_common()])


def _bounded(reason: str, known: Counter[str]) -> str:
    return reason if reason in known or len(known) < MOST_REASONS else "other reasons"
