"""The copies for class and Colab: in step with their sources, plain Markdown, no solutions; and each of them runs."""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
import torch

from crs_lite import paths
from crs_lite.chapters import lesson
from crs_lite.model.backbones import tiny_model, train_tokenizer
from crs_lite.profiles import STAND_IN, get_profile
from crs_lite.site import build, handouts

FRESH = handouts.make()
COPIES = sorted((paths.ROOT / handouts.FOLDER).glob("*.ipynb"))
ANSWERS = json.loads(lesson.ANSWERS.read_text())


def text_of(path) -> str:
    return "\n".join(c.source for c in nbformat.read(path, as_version=4).cells)


def test_the_committed_copies_are_made_from_the_chapters_as_they_are():
    assert {p.name: p.read_text() for p in COPIES} == FRESH, "run: python -m crs_lite handouts"


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
    original, copy = text_of(paths.ROOT / "book" / path.name), text_of(path)
    markdown = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    assert not re.search(r":::|\{(cite|eq|doc|term|ref|numref)(:\w)?\}`|\$\$ \(", markdown)
    labels = re.findall(r":::\{exercise\}\n:label: ([\w-]+)", original)
    assert copy.count("### Exercise ") == len(labels)
    solutions = solution_cells(paths.ROOT / "book" / path.name)
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
def test_a_copy_asks_for_a_gpu_and_fetches_the_published_code(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata["accelerator"] == "GPU"
    url, tag = handouts.source()
    setup = next(c.source for c in notebook.cells if c.cell_type == "code")
    assert f"--branch {tag} {url} " in setup and "No GPU" in setup and "KEEP_ON_DRIVE" in setup


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
@pytest.mark.parametrize("git", ["works", "fails"])
def test_the_first_cell_fetches_once_and_stops_when_it_cannot(git, tmp_path):
    """On a stand-in for Colab: programs called git and pip that write down how they were called."""
    (tmp_path / "bin").mkdir()
    after = 'for last; do :; done; mkdir -p "$last/book" "$last/crs_lite"' if git == "works" else "exit 1"
    for name, does in (("git", after), ("pip", "true")):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\necho "$0 $@" >> {tmp_path}/calls\n{does}\n')
        (tmp_path / "bin" / name).chmod(0o755)
    setup = next(c.source for c in nbformat.read(COPIES[0], as_version=4).cells if c.cell_type == "code")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", f"SETUP = {setup!r}\n{COLAB}"],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    calls = (tmp_path / "calls").read_text().splitlines()
    if git == "fails":
        assert done.returncode and "git" in done.stderr and len(calls) == 1
    else:
        assert done.returncode == 0 and [c.split()[0].rsplit("/")[-1] for c in calls] == ["git", "pip"], done.stderr
        assert done.stdout.rstrip().endswith("/book")


def test_address_and_tag_have_one_place(tmp_path):
    shutil.copytree(paths.ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("results", "colab"))
    shutil.copy(paths.ROOT / "_toc.yml", tmp_path)
    (tmp_path / "_config.yml").write_text("repository:\n  url: https://github.com/an/other\n  branch: v9\n")
    assert "--branch v9 https://github.com/an/other " in handouts.make(tmp_path)["ch01-search-box.ipynb"]
    assert handouts.colab_url("x", tmp_path).startswith(
        "https://colab.research.google.com/github/an/other/blob/v9/book/colab/x"
    )
    old, _ = handouts.source()
    assert not any(old in path.read_text() for path in (paths.ROOT / "crs_lite").glob("*.py"))


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
    def pins(path):
        return dict(line.split("==") for line in path.read_text().splitlines() if line and not line.startswith("#"))

    ours, colab = pins(paths.ROOT / "requirements.txt"), pins(paths.ROOT / handouts.FOLDER / "requirements.txt")
    assert "torch" not in colab and colab.items() <= ours.items()


# -- they run, at the profile of their dial, on a tiny model that stands for the large one ------------------


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("book", "crs_lite", "data"):
        shutil.copytree(
            paths.ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        )
    return root


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A pretrained backbone of the Llama kind, as a hub would serve it: no ID tokens, no thinking tokens."""
    folder = tmp_path_factory.mktemp("backbone")
    tokenizer = train_tokenizer(["a shopper looks for a case", '{"title":"case","brand":"Graypeak"}'] * 20, 400)
    torch.manual_seed(0)
    tiny_model(get_profile("smoke"), len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_stand_in_takes_the_place_of_a_pretrained_backbone_only(stand_in, monkeypatch):
    monkeypatch.setenv(STAND_IN, str(stand_in))
    colab = get_profile("colab")
    assert (colab.backbone, colab.quick, colab.lora_rank) == (str(stand_in), True, 4) and colab.dtype == "float16"
    assert get_profile("laptop").backbone == "tiny" and not get_profile("laptop").quick


@pytest.mark.notebook
@pytest.mark.slow(minutes=4)
@pytest.mark.parametrize("path", COPIES, ids=lambda p: p.stem)
def test_a_copy_runs_at_its_own_profile(path, checkout, stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv(STAND_IN, str(stand_in))
    output = tmp_path / path.name
    run = build.execute(checkout / path.relative_to(paths.ROOT), output, "colab", root=checkout)
    assert run.error is None, run.error
    shown = "".join(str(c.get("outputs", "")) for c in nbformat.read(output, as_version=4).cells)
    assert shown.count("not yet. ") == text_of(path).count('check("ex')
