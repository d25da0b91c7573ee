"""Small things to click on in a static page: plain HTML, no script, no network."""

from __future__ import annotations

from html import escape

import numpy as np

from .logs import SearchLog
from .sid.codes import SemanticIDs, token

STYLE = "margin:0.1em 0 0.1em 1.2em"


def sid_explorer(log: SearchLog, sids: SemanticIDs, open_at: int | None = None) -> str:
    """The tree of all IDs as nested boxes that open on a click; the branch of item `open_at` is open from the start."""
    path = tuple(sids.codes[open_at, :2]) if open_at is not None else ()
    out = ['<div class="sid-explorer" style="max-height:26em;overflow:auto">']
    for a in np.unique(sids.codes[:, 0]):
        of_a = np.flatnonzero(sids.codes[:, 0] == a)
        out.append(_box(token(0, a), of_a, log, path[:1] == (a,)))
        for b in np.unique(sids.codes[of_a, 1]):
            of_b = of_a[sids.codes[of_a, 1] == b]
            out.append(_box(token(1, b), of_b, log, path == (a, b)))
            for i in sorted(of_b, key=lambda i: tuple(sids.codes[i])):
                mark = " ◀" if i == open_at else ""
                name = f"<code>{escape(''.join(sids.tokens_of(int(i))[2:]))}</code> {escape(log.items[i].title)}{mark}"
                out.append(f'<div style="{STYLE}">{name}</div>')
            out.append("</details>")
        out.append("</details>")
    return "".join(out) + "</div>"


def _box(name: str, items: np.ndarray, log: SearchLog, is_open: bool) -> str:
    """The head of a branch: its token, how many items it holds, and their most frequent categories."""
    kinds, counts = np.unique([log.items[i].category or "" for i in items], return_counts=True)
    most = ", ".join(kinds[np.argsort(-counts, kind="stable")][:3])
    return (
        f'<details style="{STYLE}"{" open" if is_open else ""}><summary><code>{escape(name)}</code> '
        f"{len(items)} item{'s' if len(items) != 1 else ''}: {escape(most)}</summary>"
    )
