"""The house: rooms one can see, one flow, nothing too long, a test for every module."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import crs_lite
from crs_lite.paths import BOOK, ROOT

PACKAGE = ROOT / "crs_lite"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py")
# What a student reads, in reading order.
METHOD = "context sid tasks sft trie decode ranker rewards rl evolve evaluate".split()


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[Path]:
    """The files of crs_lite that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "crs_lite":
            base = ROOT.joinpath(*node.module.split("."))
            for place in (base, *(base / alias.name for alias in node.names)):
                found |= {f for f in (place.with_suffix(".py"), place / "__init__.py") if f.exists()}
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: say the whole name of what is imported"
    return found - {path, PACKAGE / "__init__.py"}


def test_every_module_has_a_test_file_of_its_name():
    tests = ROOT / "tests"
    name_of = {m: "test_main.py" if m.stem == "__main__" else f"test_{m.stem}.py" for m in MODULES}
    missing = [dotted(m) for m in MODULES if not (tests / m.relative_to(PACKAGE).parent / name_of[m]).exists()]
    assert not missing


def test_every_module_can_be_imported():
    """Tests that take a shortcut around a module would not notice that it names one which has been moved."""
    for module in MODULES:
        importlib.import_module(f"crs_lite.{dotted(module)}")


def test_every_public_name_has_a_docstring():
    def without(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_"):
                if not ast.get_docstring(child):
                    yield f"{prefix}.{child.name}"
                if isinstance(child, ast.ClassDef):
                    yield from without(child, f"{prefix}.{child.name}")

    assert not [name for m in MODULES for name in without(tree(m), dotted(m))]
    assert not [dotted(m) for m in PACKAGE.rglob("*.py") if tree(m).body and not ast.get_docstring(tree(m))]


def test_no_module_is_long():
    lines = {dotted(m): len(m.read_text(encoding="utf-8").splitlines()) for m in MODULES}
    assert max(lines.values()) <= 400, max(lines, key=lines.get)


def test_what_a_student_reads_is_small():
    """The method and everything it stands on, found by following the imports."""
    todo = [
        p for name in METHOD for p in ((PACKAGE / name).glob("*.py") if name == "sid" else [PACKAGE / f"{name}.py"])
    ]
    seen: set[Path] = set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += imports(path)
    names = {dotted(p).split(".")[0] for p in seen}
    assert set(METHOD) <= names and not names & {"study", "chapters", "site", "pipeline", "marketplace"}
    assert sum(len(p.read_text(encoding="utf-8").splitlines()) for p in seen) <= 3400


def test_nothing_imports_from_a_main():
    places = [*PACKAGE.rglob("*.py"), *BOOK.rglob("*.ipynb")]
    assert not [
        p for p in places if re.search(r"(from|import) crs_lite[\w.]*\.__main__", p.read_text(encoding="utf-8"))
    ]


def test_the_map_names_every_module_once_and_a_page_shows_it():
    doc = crs_lite.__doc__
    rooms, found = {4: []}, []
    for line in doc[doc.index("what everything stands on") :].splitlines():
        indent, name = (
            len(line) - len(line.lstrip()),
            line.split(" ")[len(line) - len(line.lstrip())] if line.strip() else "",
        )
        if indent >= 4:
            assert len(line.split(None, 1)) == 2, f"{name}: one line says what it is"
            if name.endswith("/"):
                rooms[indent + 4] = [*rooms[indent], name[:-1]]
            else:
                found.append(".".join([*rooms[indent], name]))
    assert sorted(found) == sorted(map(dotted, MODULES))
    page = (ROOT / "book" / "code.md").read_text(encoding="utf-8")
    shown = page.split("<!-- map:begin -->\n```text\n")[1].split("\n```\n<!-- map:end -->")[0]
    assert shown == doc[doc.index("what everything stands on") :].rstrip()


def test_who_may_import_whom():
    words = "from importlinter.cli import lint_imports_command as c; c()"
    done = subprocess.run([sys.executable, "-c", words, "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    assert all("ignore_imports" not in c for c in contract) and contract[0]["exhaustive"]  # no list of exceptions


def test_text_is_read_and_written_as_utf_8_and_nothing_is_pickled():
    """Every call that opens a text file names its encoding, and no pickle is read or written."""
    for path in PACKAGE.rglob("*.py"):
        for call in (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)):
            where, whole = f"{dotted(path)}, line {call.lineno}", ast.unparse(call.func)
            words = {k.arg for k in call.keywords}
            if whole.endswith((".read_text", ".write_text")) or whole == "open":
                assert "encoding" in words or whole == "open" and ast.unparse(call.args[0]) == "os.devnull", where
            assert whole not in ("torch.load", "torch.save", "pd.read_pickle", "pandas.read_pickle"), where
            assert not {"allow_pickle", "weights_only"} & words, where


def test_no_pickle_is_anywhere():
    """Neither imported, in code, tests and notebooks, nor as a file, by its name or by its first bytes."""
    pickling = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / ".ci").glob("*.py")]:
        for node in ast.walk(tree(path)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            used = {name.split(".")[0] for name in names}
            tests_that_send = path.parts[-2:] == ("adapters", "test_registry.py")  # what is sent to another process
            assert not used & pickling or tests_that_send, path
    words = re.compile(rf"import ({'|'.join(pickling)})|torch\.load|allow_pickle")
    for path in BOOK.rglob("*.ipynb"):
        assert not words.search(path.read_text(encoding="utf-8")), path
    kept = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True).stdout.decode().split("\0")
    listed = [ROOT / name for name in kept if name] or [p for p in ROOT.rglob("*") if ".venv" not in p.parts]
    for path in (p for p in listed if p.is_file()):
        assert path.suffix not in (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".bin", ".npy", ".npz"), path
        with path.open("rb") as f:
            first = f.read(4)
        assert not re.match(rb"\x80[\x02-\x05]|PK\x03\x04", first), path  # a pickle, or a zip with one in it


def test_requirements_and_the_project_file_pin_the_same_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *(line for of in project["optional-dependencies"].values() for line in of)]
    pinned = [line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if "==" in line]
    assert sorted(named) == sorted(pinned)
