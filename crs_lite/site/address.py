"""Where the published copy of this project lies: what badges, set-up cells and the citation lead to.

A checkout whose `origin` is a public repository is that copy, so a fork's links work without an edit; elsewhere
`repository` in `_config.yml` says it. (Our choice.)
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import yaml

from crs_lite.errors import CRSError
from crs_lite.paths import ROOT

PUBLIC = re.compile(r"(?:https://|ssh://git@|git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?")
UNSET = "No address of this book is known, so its copies for Colab cannot be opened: set `repository` in _config.yml."


class Address(NamedTuple):
    """`url`: of the repository, without a slash at its end; `branch`: the branch or tag that is read."""

    url: str
    branch: str


def address(root: Path = ROOT) -> Address | None:
    """None where neither `origin` nor `_config.yml` names one. Raises `CRSError` for a `_config.yml` that cannot be
    read."""
    try:
        where = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8")).get("repository") or {}
        url, branch = where.get("url") or "", str(where.get("branch") or "main")
    except (OSError, AttributeError, yaml.YAMLError) as e:
        raise CRSError(f"{root / '_config.yml'}: no usable repository ({e}); set repository: url and branch.") from None
    if found := PUBLIC.fullmatch(_origin(root)):
        return Address(f"https://github.com/{found[1]}", branch)
    return Address(url.rstrip("/"), branch) if url else None


def _origin(root: Path) -> str:
    """What git calls `origin` in this very folder; "" without git, or where the folder only lies inside another
    checkout."""
    if not (root / ".git").exists():
        return ""
    try:
        words = ["git", "-C", str(root), "remote", "get-url", "origin"]
        done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8")
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
