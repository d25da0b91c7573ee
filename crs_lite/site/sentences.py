"""The page "When something goes wrong": every sentence the program can say, taken from the code that says it.

The calls that make such a sentence are found in the syntax tree; what is filled in later stands as a named gap. A
sentence says what is wrong and, behind its last semicolon, what to do.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from crs_lite.files import read_json
from crs_lite.paths import ATTACK, BOOK, ROOT

PAGE = BOOK / "when-something-goes-wrong.md"
GAP = "‹{}›"
# Situation -> the modules whose sentences belong to it: the first that fits, from the top.
SITUATIONS = {
    "While the environment is made": ("setup", "fill"),
    "Words of a command": ("__main__", "arguments", "profiles", "adapters.registry", "study.experiments.runner"),
    "A log": ("adapters", "logs"),
    "A file or a folder": (
        "files", "vouched", "workspace", "unfinished", "marketplace.world", "model", "chapters.checkpoints",
    ),
    "While a model learns or ranks": (
        "sft", "rl", "trl_rgrpo", "decode", "trie", "ranker", "variety", "merging", "evolve", "training", "prepared",
        "pipeline", "scoring", "baselines", "context", "tasks", "sid",
    ),
    "Recorded numbers and their tables": ("study",),
    "Chapters and pages": ("chapters", "site"),
    "Calling the functions yourself": ("",),
}  # fmt: skip
# What stands in a gap, where the code's own name for it would not tell a reader.
NAMES = {
    "e": "reason", "why": "reason", "first": "reason", "what": "what", "path": "file", "partial": "folder",
    "msg": "reason", "strerror": "reason", "n": "number", "remedy": "what to do", "_remedy": "what to do",
    "KEPT": "finished stages are kept, and the same command goes on from there",
    "TRACEBACK": "CRS_LITE_TRACEBACK",
}  # fmt: skip
LITERAL = {"MEND": "mend or drop that row", **{k: NAMES[k] for k in ("KEPT", "TRACEBACK")}, "where": "‹file›: "}
SPOKEN = {"CRSError": 0, "argparse.ArgumentTypeError": 0, "self.exit": 1, "_say": 1, "fault": 2, "sys.exit": 0}
PRINTING = ("workspace", "unfinished", "training")  # what these print is said while something is not as usual


def sentences() -> dict[str, list[str]]:
    """Situation -> its sentences, each once, in the order of the code."""
    found: dict[str, list[str]] = {title: [] for title in SITUATIONS}
    for module, text in _all():
        title = next(
            t for t, rooms in SITUATIONS.items() if any(f"{module}.".startswith(f"{r}.") or not r for r in rooms)
        )
        if text not in found[title]:
            found[title].append(text)
    return found


def page_block() -> str:
    """The sentences as Markdown, for `results.put_block`."""
    parts = []
    for title, said in sentences().items():
        lines = []
        for text in said:
            what, semicolon, remedy = text.rpartition("; ")
            lines.append(f"- {_plain(what)}{semicolon}**{_plain(remedy)}**" if semicolon else f"- {_plain(text)}")
        parts.append(f"## {title}\n\n" + "\n".join(lines) + "\n")
    return "\n" + "\n".join(parts) + "\n"


def attack_block(recorded: Path = ATTACK) -> str:
    """What the recorded attack found, as a table."""
    if not recorded.exists():
        return "Not recorded yet: `make attack ATTACK=--record` makes these figures.\n"
    made = read_json(recorded, dict, "make it with `make attack ATTACK=--record`.")
    columns = ("tries", "refused", "same", "silent", "traceback", "lost")
    lines = ["| what was tried | tries | refused | right | silent | tracebacks | lost |", "|" + " --- |" * 7]
    lines += [f"| {name} | " + " | ".join(f"{of[c]:,}" for c in columns) + " |" for name, of in made["attacks"].items()]
    where = f"`{made['command']}`: {made['minutes']:.0f} minutes on {made['hardware']}, {made['date']}"
    return "\n".join(lines) + f"\n\n{where}, commit {made['commit'][:7]}.\n"


def _plain(text: str) -> str:
    """Markdown in which every sign stands for itself; gaps in italics."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#$|~])", r"\\\1", text)
    return re.sub("‹(.*?)›", r"*\1*", escaped)


def _all() -> Iterator[tuple[str, str]]:
    setup = (ROOT / ".ci" / "setup").read_text(encoding="utf-8")
    for words in re.findall(r'echo "(.*)" >&2', setup):
        yield "setup", re.sub(r"\$(\w+)", lambda m: GAP.format("folder" if m[1] == "here" else m[1]), words)
    package = ROOT / "crs_lite"
    for path in (ROOT / ".ci" / "fill.py", *sorted(package.rglob("*.py"))):
        module = path.stem if path.parent.name == ".ci" else ".".join(path.relative_to(package).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for said in _said(module, node):
                text = " ".join(_words(said).removeprefix("error: ").split())
                if " " in text and not re.fullmatch("‹[^›]*›", text):
                    yield module, text


def _said(module: str, node: ast.AST) -> Iterator[ast.expr]:
    """The texts that a node says to whoever runs the program."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        place = SPOKEN.get(name)
        if name == "fault" and len(node.args) > 2:
            remedy = node.args[3] if len(node.args) > 3 else ast.Name("MEND")
            parts = [
                ast.Name("path"),
                ", row ",
                ast.Name("n"),
                ": ",
                node.args[1],
                ": ",
                node.args[2],
                "; ",
                remedy,
                ".",
            ]
            holes = [ast.Constant(p) if isinstance(p, str) else ast.FormattedValue(p, -1) for p in parts]
            yield ast.JoinedStr(holes)
        elif name == "print" and module in PRINTING and "; " in (text := ast.unparse(node)) and "stage" not in text:
            yield node.args[0]
        elif place is not None and len(node.args) > place:
            yield node.args[place]
    elif module == "arguments" and isinstance(node, ast.Return) and isinstance(node.value, ast.JoinedStr):
        yield node.value


def _words(node: ast.expr) -> str:
    """The text of an expression, with gaps for what is not known before it is said."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(v.value if isinstance(v, ast.FormattedValue) else v) for v in node.values)
    if isinstance(node, ast.Name) and node.id in LITERAL:
        return LITERAL[node.id]
    if isinstance(node, ast.IfExp) and isinstance(node.orelse, ast.Constant) and not node.orelse.value:
        return _words(node.body)
    return GAP.format(_name(node))


def _name(node: ast.expr) -> str:
    """What to call a gap."""
    if isinstance(node, ast.Name):
        return NAMES.get(node.id, node.id.strip("_").replace("_", " ").lower())
    if isinstance(node, ast.Attribute):
        return NAMES.get(node.attr, node.attr.strip("_").replace("_", " ").lower())
    if isinstance(node, ast.Call):
        if ast.unparse(node.func) in NAMES:
            return NAMES[ast.unparse(node.func)]
        inside = [a.elt if isinstance(a, ast.GeneratorExp) else a for a in node.args]
        return _name(inside[0] if inside else getattr(node.func, "value", node.func))
    if isinstance(node, ast.IfExp):
        both = [_words(node.body), _words(node.orelse)]
        return " or ".join(part.strip("‹› ;,:") for part in both if part.strip("‹› ;,:"))
    if isinstance(node, ast.BinOp):
        return _name(node.left)
    if isinstance(node, ast.BoolOp):
        return _name(node.values[0])
    if isinstance(node, ast.Subscript | ast.Starred | ast.FormattedValue):
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, str)
        ):
            return NAMES.get(node.slice.value, node.slice.value.replace("_", " "))
        return _name(node.value)
    if isinstance(node, ast.Constant | ast.JoinedStr):
        return _words(node).strip("‹›")
    return "value"


def write(page: Path = PAGE) -> Path:
    """Renew the sentences of the page; what stands above them stays."""
    from crs_lite.study.results import put_block

    put_block(page, page_block(), "sentences")
    put_block(page, attack_block(), "attack")
    return page
