"""Two things to play with in chapter 8: where partial credit breaks, and what each column of a packed row sees.

Built as the toys of `toys`: fragments of HTML that need no server and no network, with the caller's numbers."""

from __future__ import annotations

import numpy as np

from crs_lite.chapters.toys import table, toy
from crs_lite.errors import CRSError

PLACES, LEVELS = 10, 3  # of a list; tokens of an ID that beams feed back (the fourth is written, and read by nobody)
STYLE = """<style>.crs-toy .crs-near { display: flex; gap: 2px; margin: .2em 0 .5em; }
.crs-toy .crs-near button { flex: 1 1 0; min-width: 0; padding: .35em 0; }
.crs-toy .crs-wide { max-width: none; touch-action: pan-y; cursor: crosshair; }</style>"""


def places(place: int, credit: tuple[float, float, float]) -> str:
    """A target to drag through ten places, three partial credits to slide, and a list of near misses beside it.

    Raises `CRSError` for a place or a credit that the toy has no room for."""
    if not 1 <= place <= PLACES or not all(0 <= c <= 0.3 for c in credit):
        raise CRSError(f"place {place}, credits {credit}: give a place from 1 to 10 and credits from 0 to 0.3.")
    star = '<g class="crs-star"><circle r="14" fill="transparent"/><path transform="scale(9)" '
    star += 'd="M0-1 .3-.3 1-.3 .4.15 .6.9 0 .45-.6.9-.4.15-1-.3-.3-.3Z" fill="#D55E00" stroke="currentColor" '
    star += 'stroke-width=".08"/></g>'
    credits = "".join(
        f'<label>{m} shared <input type="range" min="0" max="0.3" step="0.01" data-is="c{m}" '
        f'aria-label="credit for {m} shared tokens"><output></output></label>'
        for m in (1, 2, 3)
    )
    near = "".join('<button type="button" data-near></button>' for _ in range(PLACES))
    body = f"""{STYLE}<div class="crs-columns"><div>
<svg data-is="lists" viewBox="0 0 320 240" role="img" aria-label="Two lists of ten places: frames are as tall as a
place's weight and filled by what its item earns; the star is the target and can be dragged"><g></g>{star}</svg>
<fieldset><legend>Tokens that each near miss shares (press to change)</legend>
<div class="crs-near">{near}</div></fieldset>
<p class="crs-says" data-is="says" aria-live="polite"></p></div>
<div><fieldset><legend>Place of the target</legend><label><span>place</span> <input type="range" min="1"
max="{PLACES}" step="1" data-is="place" aria-label="place of the target"><output></output></label></fieldset>
<fieldset><legend>Partial credit</legend>{credits}</fieldset>
{table("What the lists are worth", ("", "worth"), "worth")}
<button type="button" data-is="reset">Back to the start</button></div></div>"""
    data = {"place": place, "credit": list(credit), "shared": [3] * PLACES}
    return toy("places", body, data)


def packed(mask: np.ndarray, prompt: int, group: int, beams: int) -> str:
    """One row of the cache, drawn column by column: the prompt, the thoughts, the beams. Point at a column, or go to it
    with the slider, to see what it sees.

    mask `(L, L)`: which column sees which, in the order in which `decode` appends them: `prompt` columns, then one
    column a thought for every step, then one a beam for every ID token that is fed back. Raises `CRSError` when L does
    not fit these numbers, and when a column sees anything but a chain of columns that continue each other."""
    mask = np.asarray(mask, dtype=bool)
    words = len(mask) - prompt - LEVELS * group * beams
    if mask.shape != (len(mask), len(mask)) or words <= 0 or words % group:
        raise CRSError(f"a mask {mask.shape} does not fit a prompt of {prompt}, {group} thoughts and {beams} beams.")
    parent = [int(np.flatnonzero(row[:i])[-1]) if row[:i].any() else -1 for i, row in enumerate(mask)]
    chain = np.eye(len(mask), dtype=bool)
    for i, p in enumerate(parent):
        if p >= 0:
            chain[i] |= chain[p]
    if wrong := np.flatnonzero((chain != mask).any(1)).tolist():
        raise CRSError(f"column {wrong[0]} sees more or less than the chain that it continues; give decode's own mask.")
    seen = mask.sum(0) > 1  # by another than itself
    thought = np.arange(len(mask)) - prompt
    kept = seen | (thought < 0) | (thought >= words)
    middle = len(mask) - group * beams // 2
    buttons = "".join(
        f'<button type="button" data-go="{kind}">{label}</button> '
        for kind, label in (("prompt", "The prompt"), ("thought", "A thought"), ("beam", "A beam"))
    )
    body = f"""{STYLE}<svg class="crs-wide" data-is="row" role="img" aria-label="Every column of the row is a cell:
above the prompt, below it the thoughts, a line each, and right of each its beams; what the chosen one sees is blue">
</svg>
<label>column <input type="range" min="1" step="1" data-is="column" aria-label="column of the row"><output></output>
</label><div class="crs-row">{buttons}</div><p class="crs-says" data-is="says" aria-live="polite"></p>
{table("What it sees", ("part of the row", "sees", "of"), "parts")}"""
    data = {"parent": parent, "kept": kept.tolist(), "prompt": prompt, "group": group, "beams": beams,
            "levels": LEVELS, "first": middle}  # fmt: skip
    without = "This needs JavaScript. The text above says in words what each column sees."
    return toy("packed", body, data, without)
