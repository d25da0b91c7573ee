"""Does the list follow what the reasoning says? An intervention: change a stated value, decode again, look.

Source: our choice, after the interventions on chains of thought of Lanham et al. (2023). A model may write true
sentences and ignore them, or follow every word: only changing a word tells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from crs_lite.context import escape
from crs_lite.logs import SearchLog, SearchRequest
from crs_lite.reasoning.facets import Parser


def edits(
    log: SearchLog, requests: Sequence[SearchRequest], thoughts: Sequence[str], parser: Parser, seed: int
) -> list[tuple[int, str, str, str, str]]:
    """One edit a text where possible: (row, key, old value, new value, edited text).

    The key is drawn among those stated, the new value among those that the stated category's items have (any category,
    when the category itself is changed). The edited text states the new value and is otherwise unchanged.
    """
    by_category: dict[tuple[str | None, str], set[str]] = defaultdict(set)
    for item in log.items:
        for key, value in item.facets().items():
            by_category[item.category if key != "category" else None, key].add(value)
    out = []
    for row, (request, text) in enumerate(zip(requests, thoughts, strict=True)):
        rng = np.random.default_rng([seed, request.id])
        stated = parser.stated(text)
        keys = list(stated)
        for key in rng.permutation(keys) if keys else ():
            old = stated[key]
            others = sorted(by_category[stated.get("category") if key != "category" else None, str(key)] - {old})
            if not others:
                continue
            new = others[rng.integers(len(others))]
            edited = text.replace(escape(old), escape(new))
            if parser.stated(edited) == {**stated, key: new}:
                out.append((row, str(key), old, new, edited))
                break
    return out


def mended(text: str, claims: dict[str, str], parser: Parser, keys: Sequence[str]) -> str:
    """The text with its false words on the facets `keys` replaced by the true values `claims`; what it does not state
    stays unsaid. Where a replacement would change what the text states of another facet, it is left out."""
    for key in keys:
        stated = parser.stated(text)
        if key in claims and stated.get(key, claims[key]) != claims[key]:
            changed = text.replace(escape(stated[key]), escape(claims[key]))
            if parser.stated(changed) == {**stated, key: claims[key]}:
                text = changed
    return text


def faithfulness(
    log: SearchLog,
    requests: Sequence[SearchRequest],
    thoughts: Sequence[str],
    lists: np.ndarray,
    parser: Parser,
    rank: Callable[[Sequence[SearchRequest], Sequence[str]], np.ndarray],
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Facet -> what its edits did to the lists `(n, k)` that the `thoughts` led to.

    `rank(requests, texts)` gives the lists `(m, k)` that these texts lead to, put in place of the model's own.
    `n`: edits; `kept`: share of the original list that has the stated value; `before`: share that has the new value;
    `after`: the same of the list that the edited text leads to; `old_after`: share of that list that still has the old
    value. A model that follows its words has `after` near `kept`, one that ignores them `after` near `before`.
    """
    changed = edits(log, requests, thoughts, parser, seed)
    if not changed:
        return {}
    again = rank([requests[row] for row, *_ in changed], [edited for *_, edited in changed])
    facets = [item.facets() for item in log.items]

    def share(items: np.ndarray, key: str, value: str) -> float:
        return float(np.mean([facets[i].get(key) == value for i in items if i >= 0]))

    rows = defaultdict(list)
    for (row, key, old, new, _), after in zip(changed, again, strict=True):
        rows[key].append(
            (share(lists[row], key, old), share(lists[row], key, new), share(after, key, new), share(after, key, old))
        )
    names = ("kept", "before", "after", "old_after")
    return {
        key: {"n": len(of), **dict(zip(names, np.mean(of, axis=0).round(5).tolist(), strict=True))}
        for key, of in sorted(rows.items())
    }


def mended_texts(thoughts: Sequence[str], claims: Sequence[dict[str, str]], parser: Parser) -> dict[str, list[str]]:
    """Attribute (or "all") -> the `thoughts` with the false words on it made true; `claims` are what is true of
    each."""
    keys = sorted({key for of in claims for key in of})
    groups = {**{key: [key] for key in keys}, "all": keys}
    return {
        name: [mended(text, true, parser, some) for text, true in zip(thoughts, claims, strict=True)]
        for name, some in groups.items()
    }
