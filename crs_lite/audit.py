"""Is the reasoning true, and does it repeat itself? (our choice; the paper quantifies neither)"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .errors import CRSError
from .facets import QUOTED, SENTENCE_END, Parser


def attribute_truth(stated: dict[str, str], truth: dict[str, str]) -> tuple[int, int]:
    """(true, stated) facets. A stated value is true if `truth` has it, in any case; keys `truth` lacks do not count."""
    known = [key for key in stated if key in truth]
    return sum(stated[key].lower() == truth[key].lower() for key in known), len(known)


def audit(texts: Sequence[str], truths: Sequence[dict[str, str]], parser: Parser) -> dict[str, float | None]:
    """Audit of reasoning texts against the facets of their targets.

    `attribute_truth`: true / stated facets over all texts, None if nothing is stated; `stated`: mean stated facets a
    text; `repeated`: share of texts that say a sentence twice; `words`: mean words a text. Shares are in [0, 1].
    Raises `CRSError` for no texts, or for another number of truths.
    """
    if not texts or len(texts) != len(truths):
        raise CRSError(f"audit: {len(texts)} texts, {len(truths)} truths; give a truth for each of one or more texts.")
    stated = [parser.stated(text) for text in texts]
    counts = [attribute_truth(s, t) for s, t in zip(stated, truths)]
    n_true, n_stated = (sum(c) for c in zip(*counts))
    return {
        "attribute_truth": n_true / n_stated if n_stated else None,
        "stated": sum(map(len, stated)) / len(texts),
        "repeated": sum(map(_repeats, texts)) / len(texts),
        "words": sum(len(text.split()) for text in texts) / len(texts),
    }


def _repeats(text: str) -> bool:
    """Whether a sentence of two words or more stands twice (one word may be the rest of "Dr. Martens")."""
    text = QUOTED.sub(lambda quoted: re.sub(r"[.!?]", "", quoted[0]), text)
    sentences = [" ".join(s.lower().split()) for s in SENTENCE_END.split(text) if len(s.split()) > 1]
    return len(set(sentences)) < len(sentences)
