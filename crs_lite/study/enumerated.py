"""The results file of the enumerable shop, and the numbers and tables that its page tells from it."""

from __future__ import annotations

import platform
import re
from datetime import date
from pathlib import Path
from time import perf_counter

import numpy as np

from crs_lite import rewards as R
from crs_lite.enumerable import demonstrations, exact
from crs_lite.enumerable.shop import ASKED, FILLED, TASTE, TWO_TASTES, name, thoughts, truth
from crs_lite.errors import CRSError
from crs_lite.files import write_text
from crs_lite.study import recorded, results
from crs_lite.workspace import hardware

COMMAND = "python -m crs_lite enumerable --record"
SPAN = re.compile(r'(<span data-recorded="([^"]+)">)([^<]*)(</span>)')


def record(path: Path) -> dict:
    """Make every demonstration and write them to `path`, with what is needed to make them again (two to five minutes).

    Raises `CRSError` when the code is not committed.
    """
    commit, start = recorded.committed(), perf_counter()
    found = demonstrations.everything()
    made = {
        "command": COMMAND,
        "commit": commit,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "hardware": hardware(),
        "date": date.today().isoformat(),
        "minutes": (perf_counter() - start) / 60,
        **found,
    }
    results.save(path, made)
    return made


# -- what the page tells --------------------------------------------------------------------------------------------


def page(text: str, made: dict) -> str:
    """The page with every table between its markers and every number in its span as the results file has them.

    Raises `CRSError` for a marker that is missing, or a span whose name is none of `numbers`.
    """
    for key, table in tables(made).items():
        text = results.with_block(text, table, key)
    known = numbers(made)

    def current(span: re.Match) -> str:
        if span[2] not in known:
            raise CRSError(f"the page: no number is called {span[2]!r}; use one of {', '.join(known)}.")
        return span[1] + known[span[2]] + span[4]

    return SPAN.sub(current, text)


def write_page(path: Path, made: dict) -> None:
    """`page`, in place."""
    write_text(path, page(path.read_text(encoding="utf-8"), made))


def tables(made: dict) -> dict[str, str]:
    """Marker -> Markdown: the tables of the demonstrations, one that can be checked by hand, and where all come
    from."""
    v = made["versions"]
    said = (
        f"\nRecorded {made['date']} by `{made['command']}` at commit `{made['commit'][:7]}`, in {made['minutes']:.1f} "
        f"minutes on {made['hardware']}; Python {v['python']}, NumPy {v['numpy']}. The file is "
        "`book/results/enumerable.json`.\n\n"
    )
    made_of = demonstrations.tables(made)
    return made_of | {"enumerable-hand": _by_hand(made), "enumerable-source": said}


def _by_hand(made: dict) -> str:
    """The worth of two lists in the context of two tastes, product by product."""
    wanted, weights = truth()[TWO_TASTES], R.rank_weights(exact.PLACES)
    number = {name(i): i for i in range(len(wanted))}
    columns = {s: [number[item] for item, _ in made["commits"]["lists"][s]] for s in ("one", "merged")}
    lines = ["", "| place | one thought lists | worth | all thoughts list | worth |", "|" + " --- |" * 5]
    for k, weight in enumerate(weights):
        cells = []
        for of in columns.values():
            product = f"{wanted[of[k]]:.3f} × {weight:.3f} = {wanted[of[k]] * weight:.3f}"
            cells += [name(of[k]), product.replace(" ", "&nbsp;")]
        lines.append(f"| {k + 1} | {' | '.join(cells)} |")
    sums = [f"{exact.quality(np.array(of), wanted):.3f}" for of in columns.values()]
    return "\n".join([*lines, f"| sum | | {' | | '.join(sums)} |", "", ""])


def numbers(made: dict) -> dict[str, str]:
    """Name -> what the page's prose says: means over the seeds unless the name is of one context or one run."""
    out = {
        "thoughts": f"{len(thoughts()):,}",
        "asked": f"{ASKED:g}",
        "kept": f"{1 - FILLED:g}",
        "perfect greedy": f"{truth()[TWO_TASTES, 0] * (1 - FILLED) ** 3:.3f}",
        **{f"taste {k}": f"{TASTE[TWO_TASTES].ravel()[i]:.2f}" for k, i in _LAMPS.items()},
        **{f"click {k}": f"{truth()[TWO_TASTES, i]:.3f}" for k, i in _LAMPS.items()},
        **{f"prior of a perfect student, bias {b:g}": f"{demonstrations.ideal_prior(b):.3f}" for b in (0.0, 1.0)},
    }
    out |= _of_one_thought(made["commits"]) | _of_noise(made["noise"])
    for key in demonstrations.MEASURED:
        digits = 1 if key == "entropy" else 3

        def mean(states, key=key, digits=digits) -> str:
            return f"{np.mean([s[key] for s in states]):.{digits}f}"

        for when in ("before", "after"):
            out[f"{key} {when} long RL"] = mean(s[when] for s in made["sharpens"].values())
            for bias, seeds in made["mends"].items():
                out[f"{key} {when} the loop, bias {bias}"] = mean(s[when] for s in seeds.values())
        for price, seeds in made["pays"].items():
            out[f"{key} at price {price}"] = mean(seeds.values())
        for bias, of_bias in made["judged"].items():
            for judge, seeds in of_bias.items():
                out[f"{key} by {judge}, bias {bias}"] = mean(seeds.values())
        for stage, state in made["stages"].items():
            out[f"{key} at the end of {stage}"] = mean([state])
    for when in ("before", "after"):
        states = [s[when] for s in made["sharpens"].values()]
        out[f"merging gains {when} long RL"] = f"{np.mean([s['merged'] - s['one'] for s in states]):.3f}"
    return out


_LAMPS = {"plain": 0, "bold": 7, "rare": demonstrations.TARGETS[2]}


def _of_one_thought(found: dict) -> dict[str, str]:
    """In the context of two tastes, seed 0; and `average ...`, of all contexts and seeds."""
    out = {"greedy thought": f"{found['prob']:.3f}", "ceiling": f"{found['ceiling']:.3f}"}
    out |= {f"worth of {source}": f"{value:.3f}" for source, value in found["quality"].items()}
    shares = dict(found["lists"]["merged"])
    out |= {f"merged {k}": f"{shares[name(i)]:.3f}" for k, i in _LAMPS.items() if name(i) in shares}
    for source in ("one", "merged", "direct"):
        out[f"average {source}"] = f"{np.mean([m[source] for m in found['average'].values()]):.3f}"
    return out


def _of_noise(found: dict) -> dict[str, str]:
    """`groups JUDGE ITEM`, `silent ...`, `value ...` in the context of two tastes; `luck, bias B`."""
    out = {f"luck, bias {b}": f"{np.mean(list(of.values())):.2f}" for b, of in found["luck"].items()}
    for k, i in _LAMPS.items():
        for judge in demonstrations.ARMS:
            of = found["targets"][name(i)][judge]
            out[f"value {judge} {k}"] = f"{of['value']:.3f}"
            out[f"groups {judge} {k}"] = f"{of['groups']:.1f}"
            out[f"silent {judge} {k}"] = f"{of['silent']:.2f}"
    return out
