"""Small things to click on in a static page: plain HTML, no script, no network."""

from __future__ import annotations

from html import escape

import numpy as np
import torch

from crs_lite.logs import SearchLog
from crs_lite.sid.codes import SemanticIDs, token
from crs_lite.tasks import Codec

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


@torch.no_grad()
def beam_stepper(model, codec: Codec, prompt: list[int], k: int, target: int, shown: int = 8) -> str:
    """A beam search of width `k` along the tree of all IDs, one box a level: what it kept, and the best of what it
    dropped.

    `prompt` ends where the ID begins; `target` is marked. Beams are those of `decode.beam_search`, in plain steps.
    """
    root: dict = {}
    for row in codec.sid_ids.tolist():
        node = root
        for t in row:
            node = node.setdefault(t, {})
    beams, out, wanted = [(0.0, (), root)], ['<div class="beam-stepper">'], tuple(codec.sid_ids[target].tolist())
    for level in range(codec.sid_ids.shape[1]):
        rows = torch.tensor([[*prompt, *tokens] for _, tokens, _ in beams], device=model.device)
        logp = model(input_ids=rows).logits[:, -1].float().log_softmax(-1)
        grown = [
            (s + logp[b, t].item(), (*tokens, t), node[t]) for b, (s, tokens, node) in enumerate(beams) for t in node
        ]
        grown.sort(key=lambda beam: -beam[0])
        beams = grown[:k]
        lines = []
        for place, (score, tokens, _) in enumerate(grown[:shown]):
            name = escape("".join(codec.tokenizer.convert_ids_to_tokens(list(tokens))))
            mark = (
                " ◀ the target"
                if tokens == wanted
                else " ◀ begins the target's ID"
                if wanted[: level + 1] == tokens
                else ""
            )
            fade = "" if place < k else ";opacity:0.7"
            lines.append(f'<div style="{STYLE}{fade}"><code>{name}</code> {score:.2f}{mark}</div>')
        rest = f'<div style="{STYLE};opacity:0.7">and {len(grown) - shown} more</div>' if len(grown) > shown else ""
        head = f"token {level + 1}: {len(grown)} ways on, the best {min(k, len(grown))} are kept"
        opened = " open" if level == 0 else ""
        out.append(f'<details style="{STYLE}"{opened}><summary>{head}</summary>{"".join(lines)}{rest}</details>')
    return "".join(out) + "</div>"
