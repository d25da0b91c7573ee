"""See and count, before anything is concluded (after OneReason, arXiv 2606.06260: perception, then cognition).

A thought in three parts: *see* reads the facets of the past clicks that the prompt holds, which the model knows by
their IDs only; *count* says how often the most frequent values stood there; *conclude* is what the teacher writes. The
first two follow from the prompt alone: no click to be predicted is read, so changing the target changes neither. They
stand in double quotes: cited, not stated (see `facets.Parser`). The query is read aloud first: copied late, it is not
copied at all for the whole first pass.

    Asked: "warm". Seen: "Nordfell rugged pro, Solano slim basic". Count: "Nordfell 2, rugged 2". <line end> conclusions
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, get_args

from crs_lite.context import escape
from crs_lite.errors import CRSError
from crs_lite.logs import SearchLog, SearchRequest
from crs_lite.tasks import Codec

Reasoning = Literal["conclude", "see", "see-count"]
FORMATS: tuple[str, ...] = get_args(Reasoning)
LINE = "\n"  # one token: what stands before it belongs to the prompt, what follows is concluded
MOST_FACETS = 3  # of each past click


def repeating_facets(log: SearchLog, most: int = MOST_FACETS) -> list[str]:
    """The facets in which shoppers repeat themselves, at most `most`, in the order in which items name them.

    By how much more often than two random training targets a target and the shopper's last click before it have the
    same value; facets in which they do not are left out. Counted on the train split.
    """
    facets = [item.facets() for item in log.items]
    keys = list(dict.fromkeys(key for of in facets for key in of))
    train = log.split("train")
    gain = {}
    for key in keys:
        targets = Counter(facets[r.target].get(key) for r in train)
        chance = sum((n / len(train)) ** 2 for value, n in targets.items() if value is not None)
        pairs = [(facets[r.target].get(key), past[-1]) for r in train if (past := _clicked(log, r, 1))]
        same = sum(value is not None and value == facets[last].get(key) for value, last in pairs)
        gain[key] = same / max(len(pairs), 1) - chance
    best = sorted((k for k in keys if gain[k] > 0 and k != "category"), key=lambda k: -gain[k])[:most]
    return [k for k in keys if k in best]


def _clicked(log: SearchLog, request: SearchRequest, n: int) -> list[int]:
    return [item for past in log.history(request, n) for item in past.clicked]


class Perception:
    """Writes what there is to see and to count in a request's prompt. `keys`: the facets that are read."""

    def __init__(self, codec: Codec, how: str, keys: list[str] | None = None):
        if how not in FORMATS:
            raise CRSError(f"unknown format of reasoning {how!r}; use one of {', '.join(FORMATS)}.")
        self.codec, self.how = codec, how
        self.keys = repeating_facets(codec.log) if keys is None and how != "conclude" else keys or []
        self._facets = [item.facets() for item in codec.log.items]

    def past_items(self, request: SearchRequest) -> list[int]:
        """The items clicked in the interactions that the prompt holds, oldest first."""
        kept = len(self.codec.context(request).history)
        return _clicked(self.codec.log, request, kept) if kept else []

    def write(self, request: SearchRequest) -> str:
        """The text up to and including the line end; "" for the format that only concludes."""
        if self.how == "conclude":
            return ""
        asked = " ".join(request.query.split()[:5])
        items = [self._facets[i] for i in self.past_items(request)]
        seen = ", ".join(" ".join(of[k] for k in self.keys if k in of) or "nothing" for of in items) or "nothing"
        text = f'Asked: "{escape(asked, 40)}". Seen: "{escape(seen, 400)}".'
        if self.how == "see-count":
            text += f' Count: "{escape(self._counted(items), 160)}".'
        return text + LINE

    def _counted(self, items: list[dict[str, str]]) -> str:
        """For each facet its most frequent value and how often it stood there (of equals the most recent one)."""
        parts = []
        for key in self.keys:
            values = [of[key] for of in items if key in of]
            if values:
                count = Counter(values)
                best = max(count, key=lambda v: (count[v], max(i for i, x in enumerate(values) if x == v)))
                parts.append(f"{best} {count[best]}")
        return ", ".join(parts) or "nothing"


def parts_of(text: str) -> tuple[str, str]:
    """A thought -> (what is seen and counted, line end included; what is concluded)."""
    head, line, tail = text.partition(LINE)
    return (head + line, tail) if line else ("", text)
