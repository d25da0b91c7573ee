"""Small things to play with, for chapters 3, 4 and 7: they run in the page, without a server or a network.

Each is a fragment of HTML with its own style and script (`scripts/`), so a notebook shows it as a page does. All of
their numbers come from the caller, so what stands in the text, in the code and in the toy is the same."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from crs_lite.errors import CRSError

SCRIPTS = Path(__file__).with_name("scripts")
Plane = list[list[tuple[int, int]]]  # layers of centres
HIGHEST_REWARD = 1.3  # a hit, and full marks for form
Tree = dict[str, tuple[float, dict[str, tuple[float, str]]]]  # first token -> p, second token -> p, item


def plane(layers: Plane, item: tuple[int, int], others: dict[str, tuple[int, int]]) -> str:
    """An item to drag over a plane, and its three codes. `layers`: the centres of three codebooks, `others`: items that
    stay. Raises `CRSError` for another number of layers."""
    if len(layers) != 3:
        raise CRSError(f"{len(layers)} layers of centres; give three, one for each letter of an ID.")
    star = '<circle r="2" fill="transparent"/><path d="M0-1 .3-.3 1-.3 .4.15 .6.9 0 .45-.6.9-.4.15-1-.3-.3-.3Z" '
    star += 'fill="#D55E00" stroke="currentColor" stroke-width=".08"/>'
    sliders = "".join(
        f'<label>{axis} <input type="range" min="-14" max="14" step="1" data-is="{axis}" aria-label="{axis} of the '
        'item"><output></output></label>'
        for axis in "xy"
    )
    body = f"""<div class="crs-columns"><div>
<svg data-is="plane" viewBox="-15 -15 30 30" role="img" aria-label="The plane: the centres of three layers as squares,
the item as a star; the sliders below move it"><g></g><g class="crs-star">{star}</g></svg>
{sliders}<button type="button" data-is="reset">Back to the start</button></div><div>
<p class="crs-says" data-is="says" aria-live="polite"></p>
{table("Your item, layer by layer", ("code", "centre", "left", "squared"), "layers")}
{table("The others, and the leading codes they share with it", ("item", "at", "ID", "shared"), "others")}
</div></div>"""
    return toy("plane", body, {"layers": layers, "item": item, "others": others})


def small_trie(tree: Tree) -> str:
    """A trie of names of two tokens with a slider for each probability, beams of width 1 to 4, renormalised or not.

    Raises `CRSError` when the probabilities behind a node are more than one together."""
    for name, ways in {"the root": tree, **{t: below for t, (_, below) in tree.items()}}.items():
        total = sum(p for p, _ in ways.values())
        if total > 1 + 1e-9:
            raise CRSError(f"the probabilities behind {name} sum to {total:.2f}; they can be one at most.")
    sliders = ""
    for first, (_, below) in tree.items():
        sliders += _slider(f"P({first})", first)
        sliders += "".join(_slider(f"P({second} | {first})", first, second) for second in below)
    widths = "".join(
        f'<label><input type="radio" name="crs-width" value="{k}"{" checked" if k == 1 else ""}> {k}</label>'
        for k in (1, 2, 3, 4)
    )
    body = f"""<div class="crs-columns"><div>
<svg data-is="drawing" viewBox="0 0 320 205" role="img" aria-label="The trie: thick branches are kept by the beams,
dashed ones are dropped; the table says the same in words"></svg>
<fieldset><legend>Beam width</legend><div class="crs-row">{widths}</div></fieldset>
<label><input type="checkbox" data-is="tidy"> renormalise over the allowed tokens</label>
<p class="crs-says" data-is="says" aria-live="polite"></p>
{table("The list", ("place", "item", "score", "its logarithm"), "list")}</div>
<div><fieldset><legend>What the model says; behind a node, one together at most</legend>{sliders}</fieldset>
<button type="button" data-is="reset">Back to the start</button></div></div>"""
    data = {
        first: {"p": p, "below": {second: {"p": q, "item": item} for second, (q, item) in below.items()}}
        for first, (p, below) in tree.items()
    }
    return toy("trie", body, {"tree": data})


def group(rewards: list[float], eps: float, settings: dict[str, list[float]]) -> str:
    """A slider for each reward of a group, and the advantages that follow. `settings`: what a button says -> the
    rewards it sets. Raises `CRSError` for a group of one, and for a setting of another size or out of the sliders'
    reach."""
    for name, of in {"the start": rewards, **settings}.items():
        if len(of) != len(rewards) or len(of) < 2 or not all(0 <= r <= HIGHEST_REWARD for r in of):
            raise CRSError(f"{name}: {of}; give {max(2, len(rewards))} rewards between 0 and {HIGHEST_REWARD}.")
    sliders = "".join(
        f'<label>o{n} <input type="range" min="0" max="{HIGHEST_REWARD}" step="0.05" data-is="o{n}" '
        f'aria-label="reward of try {n}"><output></output></label>'
        for n in range(1, len(rewards) + 1)
    )
    buttons = "".join(f'<button type="button" data-setting="{escape(s)}">{escape(s)}</button>' for s in settings)
    body = f"""<div class="crs-columns"><div>
<fieldset><legend>Rewards</legend>{sliders}</fieldset>
<label><input type="checkbox" data-is="divide" checked> divide by the spread</label>
<div class="crs-row">{buttons}<button type="button" data-is="reset">Back to the start</button></div></div><div>
<p class="crs-says" data-is="says" aria-live="polite"></p>
<svg data-is="drawing" viewBox="0 0 300 {24 * len(rewards) + 4}" role="img" aria-label="The advantages as bars from a
line at zero, to the right where a try is pushed up; the table says the same in numbers"></svg>
{table("Advantages", ("try", "reward", "less the mean", "advantage"), "group")}</div></div>"""
    return toy("group", body, {"rewards": rewards, "eps": eps, "settings": settings})


def _slider(label: str, first: str, second: str | None = None) -> str:
    to = f' data-second="{second}"' if second else ""
    slider = f'<input type="range" min="0" max="1" step="0.05" data-first="{first}"{to} aria-label="{label}">'
    shown = '<output aria-live="off"></output>'  # the slider itself says it, with the room that is left
    return f"<label class='{'crs-below' if second else ''}'>{label} {slider}{shown}</label>"


def table(caption: str, head: tuple[str, ...], name: str) -> str:
    """A table that a script fills: its caption, the heads of its columns, and how the script finds it."""
    cells = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    return f'<table><caption>{caption}</caption><thead><tr>{cells}</tr></thead><tbody data-is="{name}"></tbody></table>'


WITHOUT = "This needs JavaScript. The worked example above is its first setting."


def toy(name: str, body: str, data: dict, without: str = WITHOUT) -> str:
    """The fragment: style, body, script. The script finds the body as what stands before it."""
    style, script = ((SCRIPTS / f).read_text(encoding="utf-8") for f in ("toys.css", f"{name}.js"))
    numbers = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return (
        f'<div class="crs-toy" data-toy="{escape(name)}">{body}<noscript>{without}</noscript></div>'
        f"<style>{style}</style><script>(\n{script})((document.currentScript?.parentElement ?? document)"
        f".querySelector('[data-toy={name}]'), {numbers})</script>"
    )
