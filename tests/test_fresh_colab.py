"""What the trial of the Colab copies stands on, without the network: the package, the clone, the kernel."""

import subprocess
import sys
from pathlib import Path

import fresh_colab
import nbformat
import pytest

from crs_lite.profiles import get_profile
from crs_lite.site.address import Address


@pytest.mark.slow
def test_a_kernel_finds_colab_a_home_of_its_own_and_this_commit_behind_the_address(tmp_path):
    mine = tmp_path / "mine"
    for words in (
        ["init", "-q", str(mine)],
        ["-C", str(mine), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "mine"],
    ):
        subprocess.run(["git", *words], check=True)
    where, folder = Address("https://github.com/nobody/nothing", "v9"), tmp_path / "trial"
    folder.mkdir()
    fresh_colab.stand_in(folder)
    fresh_colab.publish(folder, where, mine)
    cells = [
        'import os, subprocess, sys\nassert "google.colab" in sys.modules',
        'PROFILE = "colab"',
        f"subprocess.run('git clone -q --branch {where.branch} {where.url} got'.split(), check=True)",
        "print(PROFILE, os.environ['HOME'], os.getcwd())",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.cells[1].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, tmp_path / "copy.ipynb")
    assert fresh_colab.run(tmp_path / "copy.ipynb", "smoke", folder, Path(sys.executable)) == ""
    said = nbformat.read(folder / "done" / "copy.ipynb", as_version=4).cells[-1].outputs[0].text
    assert said.split() == ["smoke", str(folder / "home"), str(folder / "content")]
    got = ["git", "-C", str(folder / "content" / "got"), "log", "--format=%s"]
    assert subprocess.run(got, capture_output=True, text=True).stdout == "mine\n"
    assert "google" not in sys.modules or "colab" not in dir(sys.modules["google"])


@pytest.mark.slow
def test_a_copy_that_fails_is_said_to(tmp_path):
    (tmp_path / "home").mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("raise ValueError('no')")])
    nbformat.write(notebook, tmp_path / "copy.ipynb")
    assert fresh_colab.run(tmp_path / "copy.ipynb", "smoke", tmp_path, Path(sys.executable)) == "ValueError: no"


@pytest.mark.slow
def test_with_two_steps_every_stage_of_colab_takes_two_and_keeps_its_model(tmp_path):
    fresh_colab.stand_in(tmp_path, two_steps=True)
    cells = [
        f"import sys; sys.path.insert(0, {str(fresh_colab.ROOT)!r})",
        "from crs_lite.profiles import get_profile\nfrom transformers import TrainingArguments",
        f"print(TrainingArguments({str(tmp_path / 'out')!r}, max_steps=900).max_steps)",
        "p = get_profile('colab'); print(p.backbone, p.rl_steps, p.lora_rank, p.context_budget)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    nbformat.write(notebook, tmp_path / "copy.ipynb")
    assert fresh_colab.run(tmp_path / "copy.ipynb", "colab", tmp_path, Path(sys.executable)) == ""
    said = [c.outputs[0].text for c in nbformat.read(tmp_path / "done" / "copy.ipynb", as_version=4).cells[2:]]
    mine = get_profile("colab")
    assert said == ["2\n", f"{mine.backbone} 2 {mine.lora_rank} {mine.context_budget}\n"]
