"""From the words of a command to what it works on: budgets, a log, a pipeline.

Not in `__main__`: what goes to another process must come from a module that the other process can import.
"""

from __future__ import annotations

import ast
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import CRSError
from .profiles import get_profile

ROOT = Path(__file__).resolve().parent.parent


def budgets(words: Sequence[str]) -> dict[str, object]:
    """["lr=0.1", "arch=qwen3"] -> {"lr": 0.1, "arch": "qwen3"}."""
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def open_log(name: str, world: Path, reviews: Path | None, meta: Path | None):
    """-> (log, truth or None, shipped embeddings or None)."""
    if name == "marketplace":
        from . import marketplace

        log, truth = marketplace.load(world)
        embeddings = world / "embeddings.safetensors"
        return log, truth, embeddings if embeddings.exists() else None
    if reviews is None or meta is None:
        raise CRSError("--log amazon2023 needs --reviews FILE and --meta FILE.")
    from .adapters import amazon2023

    log, what_it_did = amazon2023.load_with_report(reviews, meta)
    print(what_it_did)
    return log, None, None


@dataclass(frozen=True)
class OpenPipeline:
    """seed -> Pipeline, by the arguments of a command; it can be sent to another process."""

    args: Namespace

    def __call__(self, seed: int):
        from .pipeline import Pipeline

        profile, (log, truth, embeddings) = self.profile(), self.log()
        return Pipeline(log, truth, profile, seed, ROOT / "runs" / f"{log.name}-{profile.name}-{seed}", embeddings)

    def profile(self):
        return get_profile(self.args.profile, **budgets(self.args.set))

    def log(self):
        return open_log(self.args.log, self.args.world, self.args.reviews, self.args.meta)
