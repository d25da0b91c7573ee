"""Every copy for class runs at its own profile, on a tiny model that stands for the large one."""

import shutil

import nbformat
import pytest
import torch

from crs_lite.model.backbones import tiny_model, train_tokenizer
from crs_lite.paths import COLAB, ROOT
from crs_lite.profiles import STAND_IN, get_profile
from crs_lite.site import build

pytestmark = [pytest.mark.notebook, pytest.mark.slow(minutes=3)]
COPIES = sorted(COLAB.glob("*.ipynb"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("book", "crs_lite", "data"):
        shutil.copytree(
            ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
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


@pytest.mark.parametrize("path", COPIES, ids=lambda p: p.stem)
def test_a_copy_runs_at_its_own_profile(path, checkout, stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv(STAND_IN, str(stand_in))
    output = tmp_path / path.name
    run = build.execute(checkout / path.relative_to(ROOT), output, "colab", root=checkout)
    assert run.error is None, run.error
    shown = "".join(str(c.get("outputs", "")) for c in nbformat.read(output, as_version=4).cells)
    source = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells)
    assert shown.count("not yet. ") == source.count('check("ex')
