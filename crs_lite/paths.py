"""Every folder and file of the project that code names. Runs and pages may be written elsewhere; what is read is
here."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# shipped data
SHIPPED = ROOT / "data" / "marketplace"  # the frozen shop
CHECKPOINTS = ROOT / "data" / "artifacts"  # the small models that chapters begin with

# the book, and what it tells from
BOOK = ROOT / "book"
COLAB = BOOK / "colab"
RESULTS = BOOK / "results"
QUICKSTART = RESULTS / "quickstart-laptop.json"
OTHER_WORLD = RESULTS / "world-1-laptop.json"  # the same recipe in another simulated shop
BENCH = RESULTS / "bench" / "cpu.json"
CHAPTERS = RESULTS / "chapters.json"  # what the recorded runs of the chapters took and reached
ATTACK = RESULTS / "attack.json"  # what damaged files, wrong words, hostile strings and kills did
ENUMERABLE = RESULTS / "enumerable.json"  # what the shop shows that is small enough to sum over
LESSONS = RESULTS / "pretrained.json"  # how much the lessons of a pretrained backbone are
SCALE = RESULTS / "scale.json"  # a log of ten million searches: memory and minutes
DRAFTS = RESULTS / "drafts-smollm2.json"  # what a chat model wrote as teacher, and what was kept of it
EXPERIMENTS = RESULTS / "experiments"  # one folder a log and profile
EVIDENCE = EXPERIMENTS / "marketplace-first"  # what the ledger judges by, under the first protocol
SECOND = EXPERIMENTS / "marketplace-large-long"  # and under the second
REAL = EXPERIMENTS / "amazon2023-own-log"  # what was measured on a real log, under the third

# made here, not kept
RUNS = ROOT / "runs"
TRIED = RUNS / "tried"  # rows of code that was not committed
BUILD = ROOT / "build"
