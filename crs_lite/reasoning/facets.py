"""Which facet values does a text state? (our choice)

A text *states* the facet values it names outside double quotes; what stands in double quotes is cited, not stated.
When a text names several values of one key, the last one counts: reasoning may weigh one brand, then settle on another.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from crs_lite.context import escape
from crs_lite.logs import SearchLog

QUOTED = re.compile(r'(?<!\\)"(?:[^"\\]|\\.)*"')
_WORD = re.compile(r"\w+")
_INSIDE = re.compile(r"\w\w")  # a cut between these two would cut a word
SENTENCE_END = re.compile(r"[.!?](?:\s|$)")
_STOP = re.compile(r"[.!?](?=\s)")


def facet_values(log: SearchLog) -> dict[str, list[str]]:
    """Every facet key of the catalogue with its distinct values, sorted; keys in the order in which items name them."""
    values: dict[str, set[str]] = {}
    for item in log.items:
        for key, value in item.facets().items():
            values.setdefault(key, set()).add(value)
    return {key: sorted(found) for key, found in values.items()}


class Parser:
    """Finds the values of `facet_values` in free text: whole words, any case, longest value first, no overlaps.

    Values are looked for as `context.escape` writes them. A value that several keys share counts for the key whose
    name stands nearest in the same sentence, and for the first of these keys when none is named.
    """

    def __init__(self, values: dict[str, list[str]]):
        self._keys: dict[str, list[str]] = {}  # the value as it stands in a lower-case text -> keys that have it
        self._value: dict[tuple[str, str], str] = {}  # (key, value as it stands, exact or lower case) -> value
        for key, named in values.items():
            for value in named:
                exact, text = escape(value), escape(value).lower()
                if _WORD.search(text) and key not in (keys := self._keys.setdefault(text, [])):
                    keys.append(key)
                    self._value[key, text] = value
                self._value[key, exact] = value
        # However many values there are, a word costs a look-up for each length of the values that begin with it.
        begins: dict[str, set[tuple[int, int]]] = {}
        for text in self._keys:
            first = _WORD.search(text)
            begins.setdefault(first[0], set()).add((len(text), first.start()))
        self._begins = {word: sorted(found, reverse=True) for word, found in begins.items()}

    def find(self, value: str) -> dict[str, str]:
        """Key -> the catalogue's spelling, for the keys that have this value; two or more make a mention ambiguous."""
        exact, text = escape(value), escape(value).lower()
        return {key: self._value.get((key, exact), self._value[key, text]) for key in self._keys.get(text, ())}

    def mentions(self, text: str) -> list[tuple[str, str]]:
        """All (key, value) named outside double quotes, in the order of the text."""
        plain = " " + QUOTED.sub('"', text) + " "
        text = plain.lower()  # a few letters change their length here; then only the spelling is lost
        found, end, names = [], 0, _Names(text)
        for word in _WORD.finditer(text):
            for length, offset in self._begins.get(word[0], ()):
                start = word.start() - offset
                stop = start + length
                keys = self._keys.get(text[start:stop]) if start >= end else None
                edges = text[start - 1 : start + 1], text[stop - 1 : stop + 1]
                if keys and not any(map(_INSIDE.match, edges)):
                    end = stop
                    key = keys[0] if len(keys) == 1 else names.nearest(keys, start, stop)
                    same = self._value[key, text[start:stop]]
                    found.append((key, self._value.get((key, plain[start:stop]), same)))
                    break
        return found

    def stated(self, text: str) -> dict[str, str]:
        """Facet key -> the value stated last for it."""
        return dict(self.mentions(text))


class _Names:
    """Where the names of keys stand in a text; looked up once, however many values are looked for."""

    def __init__(self, text: str):
        self.text, self._at = text, {}
        self._stops: list[int] | None = None

    def nearest(self, keys: list[str], start: int, end: int) -> str:
        """The key whose name stands nearest to text[start:end] in the same sentence; the first key if none does."""
        gaps = [(10**9, 0, keys[0])]
        for order, key in enumerate(keys):
            begins, ends = self._of(key)
            before, after = bisect_right(ends, start) - 1, bisect_left(begins, end)
            if before >= 0 and self._one_sentence(ends[before], start):
                gaps.append((start - ends[before], order, key))
            if after < len(begins) and self._one_sentence(end, begins[after]):
                gaps.append((begins[after] - end, order, key))
        return min(gaps)[2]

    def _of(self, key: str) -> tuple[list[int], list[int]]:
        if key not in self._at:
            name = re.compile(rf"(?<!\w){re.escape(key.replace('_', ' ').lower())}(?!\w)")
            spans = [m.span() for m in name.finditer(self.text)]
            self._at[key] = [a for a, _ in spans], [b for _, b in spans]
        return self._at[key]

    def _one_sentence(self, a: int, b: int) -> bool:
        """Whether no sentence ends in text[a:b], nor where it is cut off."""
        if self._stops is None:
            self._stops = [m.start() for m in _STOP.finditer(self.text)]
        inside = bisect_left(self._stops, a)
        return not (inside < len(self._stops) and self._stops[inside] + 1 < b or a < b and self.text[b - 1] in ".!?")
