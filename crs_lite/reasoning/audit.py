"""Is the reasoning true, does it repeat or contradict itself, does it carry on the teacher's faults? (our choice; the
paper quantifies none of it)"""

from __future__ import annotations

from collections.abc import Sequence

from crs_lite.errors import CRSError
from crs_lite.logs import SearchRequest
from crs_lite.reasoning.contradictions import KINDS, Citations, contradicts_itself, sentences
from crs_lite.reasoning.facets import Parser
from crs_lite.reasoning.teacher import Teacher


def attribute_truth(stated: dict[str, str], truth: dict[str, str]) -> tuple[int, int]:
    """(true, stated) facets. A stated value is true if `truth` has it, in any case; keys `truth` lacks do not count."""
    known = [key for key in stated if key in truth]
    return sum(stated[key].lower() == truth[key].lower() for key in known), len(known)


def by_attribute(stated: Sequence[dict[str, str]], truths: Sequence[dict[str, str]]) -> dict[str, tuple[int, int, int]]:
    """Facet -> (texts whose truth is known, of these those that state the facet, of these those that state it
    truly)."""
    counts: dict[str, list[int]] = {}
    for claims, truth in zip(stated, truths, strict=True):
        for key, value in truth.items():
            of = counts.setdefault(key, [0, 0, 0])
            of[0] += 1
            of[1] += key in claims
            of[2] += claims.get(key, "").lower() == value.lower()
    return {key: tuple(of) for key, of in sorted(counts.items())}


def audit(
    texts: Sequence[str],
    truths: Sequence[dict[str, str]],
    parser: Parser,
    requests: Sequence[SearchRequest] = (),
    teacher: Teacher | None = None,
) -> dict:
    """Audit of reasoning texts against the facets of their targets, against themselves and against their context.

    `attribute_truth`: true / stated facets over all texts, None if nothing is stated; `stated`: mean stated facets a
    text; `repeated`: share of texts that say a sentence twice; `contradicts_itself`: share that conclude two values of
    one facet; `words`: mean words a text. With the `requests` and the `teacher` of their log also
    `contradicts_context`: share of texts with a false citation (a wrong count of past clicks alone does not make one: a
    context may hold fewer than the teacher counted); `citations`: kind -> [false, cited]; and `planted`, see there.
    Shares are in [0, 1]. Raises `CRSError` for no texts, or for another number of truths."""
    if not texts or len(texts) != len(truths):
        raise CRSError(f"audit: {len(texts)} texts, {len(truths)} truths; give a truth for each of one or more texts.")
    stated = [parser.stated(text) for text in texts]
    counts = [attribute_truth(s, t) for s, t in zip(stated, truths, strict=True)]
    n_true, n_stated = (sum(c) for c in zip(*counts, strict=True))
    out = {
        "attribute_truth": n_true / n_stated if n_stated else None,
        "stated": sum(map(len, stated)) / len(texts),
        "repeated": sum(map(repeats, texts)) / len(texts),
        "contradicts_itself": sum(contradicts_itself(text, parser) for text in texts) / len(texts),
        "words": sum(len(text.split()) for text in texts) / len(texts),
    }
    if teacher is None:
        return out
    citations = Citations(teacher.log, parser)
    checked = [citations.check(text, r) for text, r in zip(texts, requests, strict=True)]
    kinds = {kind: [sum(c[kind][i] for c in checked) for i in (0, 1)] for kind in KINDS}
    false = sum(any(wrong for kind, (wrong, _) in c.items() if kind != "count") for c in checked)
    out |= {"contradicts_context": false / len(texts), "citations": kinds}
    return out | {"planted": planted(stated, truths, requests, teacher)}


def planted(
    stated: Sequence[dict[str, str]],
    truths: Sequence[dict[str, str]],
    requests: Sequence[SearchRequest],
    teacher: Teacher,
) -> dict[str, int]:
    """How much of the teacher's two faults is in what is stated (all facets but the category), as counts.

    `claims`: stated; `prior`: of these, the value the teacher's world-wide prior would state (some are right);
    `judged`: claims about a facet whose true value is known; `prior_false`: of these, the prior's value and false;
    `unsupported`: claims that no fact of the context makes likely, by the teacher's own threshold, and that are not
    the prior's either.
    """
    out = dict.fromkeys(("claims", "prior", "judged", "prior_false", "unsupported"), 0)
    for claims, truth, request in zip(stated, truths, requests, strict=True):
        for key, value in claims.items():
            if key == "category":
                continue
            prior = teacher.prior_value.get(key) == value
            out["claims"] += 1
            out["prior"] += prior
            out["judged"] += key in truth
            out["prior_false"] += prior and key in truth and truth[key] != value
            out["unsupported"] += not prior and teacher.evidence.support(request, key, value)[1] < teacher.min_support
    return out


def repeats(text: str) -> bool:
    """Whether a sentence of two words or more stands twice (one word may be the rest of "Dr. Martens")."""
    said = [" ".join(s.lower().split()) for s in sentences(text) if len(s.split()) > 1]
    return len(set(said)) < len(said)
