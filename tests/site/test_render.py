"""Pages are made from notebooks, strictly, and say whose run they show."""

import nbformat
import pytest
from little_book import notebook, write_book

from crs_lite.errors import CRSError
from crs_lite.site import build
from crs_lite.site.render import render, with_banner, without_added_cells


@pytest.mark.slow
def test_any_warning_fails_the_pages_and_smoke_shows_the_committed_notebooks(tmp_path):
    root = write_book(tmp_path, one=notebook())
    with (root / "book" / "intro.md").open("a", encoding="utf-8") as f:
        f.write("\nSee {doc}`nowhere`.\n")
    report = build.build_book("smoke", tmp_path / "build", run_notebooks=False, root=root)
    assert not report.ok and report.index is None
    assert "intro.md:5" in report.render_error and "nowhere" in report.render_error and "\n" not in report.render_error


def executed(error=None):
    """A notebook as papermill leaves it."""
    nb = notebook("1 + 1")
    nb.cells.insert(0, nbformat.v4.new_code_cell("", metadata={"tags": ["papermill-error-cell-tag"]}))
    nb.cells.insert(3, nbformat.v4.new_code_cell('PROFILE = "gpu"', metadata={"tags": ["injected-parameters"]}))
    nb.metadata["crs"] = {"profile": "gpu", "date": "2026-01-02", "hardware": "a machine", "error": error}
    nb.metadata["papermill"] = {}
    for cell in nb.cells:
        cell.metadata["execution"] = {"iopub.status.busy": "now"}
    return nb


def test_what_running_added_is_taken_out_of_a_copy():
    done = executed()
    clean = without_added_cells(done)
    assert [c.source for c in clean.cells] == [c.source for c in notebook("1 + 1").cells]
    assert not {"crs", "papermill"} & set(clean.metadata)
    assert not any("execution" in c.metadata for c in clean.cells)
    assert len(done.cells) == 5 and "crs" in done.metadata  # the run itself stays as it is


def test_the_banner_stands_under_the_title():
    first = with_banner(executed()).cells[0].source
    assert first.startswith("# A title\n\n:::{admonition}") and first.endswith(":::\n\n\nA promise.")
    assert "profile `gpu` made on 2026-01-02, hardware a machine" in first and "stopped" not in first
    assert "**The run stopped before its end.** it broke" in with_banner(executed("it broke")).cells[0].source
    untitled = executed()
    untitled.cells[1].source = "no title"
    assert with_banner(untitled).cells[0].source.startswith(":::{admonition}")


def test_a_builder_that_fails_is_told_in_one_sentence_with_its_log(tmp_path, monkeypatch):
    import crs_lite.site.render as module

    root = write_book(tmp_path / "root", one=notebook())
    said = "\x1b[31m" + str(tmp_path / "out" / "src") + "/book/one.ipynb:3: WARNING: odd\x1b[0m\nlater\n"

    for path in (root / "_toc.yml", *(root / "book").rglob("*"), root / "book"):  # the sources are read-only
        path.chmod(path.stat().st_mode & ~0o222)

    def builder(command, env, stdout, **_):
        stdout.write(said)
        copies = list((tmp_path / "out" / "src").rglob("*"))
        assert copies and all(path.stat().st_mode & 0o200 for path in copies)  # so they can be deleted
        assert env["HF_HUB_OFFLINE"] == "1" and "-W" in command
        return type("Done", (), {"returncode": 1})

    monkeypatch.setattr(module.subprocess, "run", builder)
    with pytest.raises(
        CRSError, match="^the pages were not rendered: book/one.ipynb:3: WARNING: odd .more in .*log.[.]$"
    ):
        render(root, tmp_path / "out")


def test_what_a_page_loads_from_live_stands_beside_it_and_nothing_else_does(tmp_path):
    import crs_lite.site.render as module

    live, pages = tmp_path / "live", tmp_path / "pages"
    for folder in (live, pages):
        folder.mkdir()
    for name in ("one.js", "one.css", "other.js"):
        (live / name).write_text(name)
    (pages / "still.html").write_text("<p>live/other.js</p>")
    module._add_live(live, pages)
    assert not (pages / "live").exists()
    (pages / "moving.html").write_text('<link href="live/one.css"><script defer src="live/one.js"></script>')
    module._add_live(live, pages)
    assert sorted(path.name for path in (pages / "live").iterdir()) == ["one.css", "one.js"]
    (pages / "wrong.html").write_text('<script src="live/two.js"></script>')
    with pytest.raises(CRSError, match="wrong: loads live/two.js, which is not in book/live"):
        module._add_live(live, pages)
