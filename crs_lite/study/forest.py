"""Every effect of a ledger in one picture: SVG that stands in the page itself, so that its words take the page's
colour, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from crs_lite.study.comparison import Effect, Entry

WIDTH, LINE, TOP, EDGE = 460, 25, 24, 14  # pixels at full size: the picture, a row, the head, the margin
WIDEST = 540  # on the page; on a phone it shrinks with the page
UP, DOWN, OPEN = "#2b8cc4", "#d9622b", "#8a8a8a"  # above zero, below it, either; readable on white and on black
STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def forest(entries: Sequence[Entry]) -> str:
    """One row an `Effect`, in the order of the ledger: its label, and below it a dot for the mean and a line for the
    95 % interval, coloured by the side of zero on which the whole interval lies. "" when nothing was measured.

    Positions are made from the numbers as they are printed, three decimals, so the text is the same on every machine.
    """
    rows = [(x.id, effect) for x in entries for effect in x.effects if isinstance(effect, Effect)]
    if not rows:
        return ""
    bounds = [round(v, 3) for _, e in rows for v in (e.difference.low, e.difference.high)]
    step = next((s for s in STEPS if max(map(abs, bounds)) / s <= 6), STEPS[-1])
    left, right = (side(0, *bounds) for side in (min, max))
    scale = (WIDTH - 2 * EDGE) / (right - left or 1)

    def x(value: float) -> str:
        return f"{EDGE + (round(value, 3) - left) * scale:.1f}"

    bottom = TOP + LINE * len(rows)
    lines = [
        '<div class="forest">',
        f'<svg viewBox="0 0 {WIDTH} {bottom + 8}" role="img" aria-label="{escape(_said(rows))}" '
        f'style="max-width: {WIDEST}px; width: 100%; height: auto; font: 11.5px sans-serif" fill="currentColor">',
    ]
    for n in range(int(left / step), int(right / step) + 1):
        dash = ' stroke-opacity="0.5"' if n == 0 else ' stroke-dasharray="2 3" stroke-opacity="0.3"'
        lines.append(
            f'<line x1="{x(n * step)}" x2="{x(n * step)}" y1="{TOP - 6}" y2="{bottom}" stroke="currentColor"{dash}/>'
            f'<text x="{x(n * step)}" y="12" text-anchor="middle">{n * step:+.3g}</text>'
        )
    before = None
    for n, (id, effect) in enumerate(rows):
        d, y = effect.difference, TOP + LINE * n + 20
        colour = UP if round(d.low, 3) > 0 else DOWN if round(d.high, 3) < 0 else OPEN
        if id != before:
            lines.append(f'<text x="2" y="{y - 8}" font-weight="bold">{escape(id)}</text>')
        lines.append(
            f"<g><title>{escape(effect)}</title>"
            f'<text x="30" y="{y - 8}">{escape(effect.label)}</text>'
            f'<line x1="{x(d.low)}" x2="{x(d.high)}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2.5"/>'
            f'<circle cx="{x(d.mean)}" cy="{y}" r="3.5" fill="{colour}"/></g>'
        )
        before = id
    return "\n".join([*lines, "</svg>", "</div>"]) + "\n"


def _said(rows: Sequence[tuple[str, Effect]]) -> str:
    """What the picture shows, for those who cannot see it."""
    up = sum(round(e.difference.low, 3) > 0 for _, e in rows)
    down = sum(round(e.difference.high, 3) < 0 for _, e in rows)
    return (
        f"Forest plot of {len(rows)} differences with their intervals: {up} lie wholly above zero, {down} wholly "
        f"below, {len(rows) - up - down} include it. The same numbers stand under every claim below."
    )
