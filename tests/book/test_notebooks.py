"""Every notebook runs from end to end at `smoke`, in a fresh copy of the project: no earlier run helps it."""

import shutil

import nbformat
import pytest

from crs_lite.paths import ROOT
from crs_lite.site import build

pytestmark = [pytest.mark.notebook, pytest.mark.slow(minutes=4)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    root = tmp_path_factory.mktemp("checkout")
    left_out = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for folder in ("book", "crs_lite", "data"):
        shutil.copytree(ROOT / folder, root / folder, ignore=left_out)
    return root


@pytest.mark.parametrize("path", build.notebooks(), ids=lambda p: p.stem)
def test_notebook_at_smoke(path, checkout, tmp_path):
    output = tmp_path / path.name
    run = build.execute(checkout / path.relative_to(ROOT), output, "smoke", root=checkout)
    assert run.error is None, run.error
    assert run.headlines, "the notebook records no headline metric"
    for cell in nbformat.read(output, as_version=4).cells:
        if "alt" in cell.metadata.get("mystnb", {}).get("image", {}):
            assert any("image/png" in o.get("data", {}) for o in cell.outputs), f"no figure: {cell.source[:60]!r}"
