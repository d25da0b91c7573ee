"""Folders that vouch for their files: a sha256 of every one, taken when they are made, compared when they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from crs_lite.errors import CRSError


def sums(folder: Path, but: Collection[str] = ()) -> dict[str, str]:
    """Path inside the folder -> sha256, of all its files `but` some."""
    files = {f.relative_to(folder).as_posix(): f for f in sorted(folder.rglob("*")) if f.is_file()}
    return {name: _sha256(path) for name, path in files.items() if name not in but}


def check(folder: Path, of: Mapping[str, str], remedy: str) -> None:
    """Raises `CRSError` naming the first file that is missing, unreadable, or another than the one that was written.
    Files that are not in `of` are none of our business."""
    for name, wanted in of.items():
        path = folder / name
        try:
            found = _sha256(path)
        except FileNotFoundError:
            raise CRSError(f"{path}: this file is gone; {remedy}") from None
        except OSError as e:
            raise CRSError(f"{path}: cannot be read ({e.strerror}); {remedy}") from None
        if found != wanted:
            raise CRSError(f"{path}: damaged or replaced, its sha256 is another than when it was written; {remedy}")


def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
