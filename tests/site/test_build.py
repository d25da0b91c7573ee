"""The runner and renderer of the book, on books of one or two tiny notebooks."""

import html
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from crs_lite import paths
from crs_lite.chapters import lesson
from crs_lite.errors import CRSError
from crs_lite.site import build, render

TAGGED = {"tags": ["parameters"]}


def notebook(*code, first='PROFILE = "smoke"', metadata=TAGGED):
    cells = [v4.new_markdown_cell("# A title\n\nA promise."), v4.new_code_cell(first, metadata=dict(metadata))]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    return v4.new_notebook(cells=cells + [v4.new_code_cell(c) for c in code], metadata=kernel)


def text_of(page):
    """What a reader sees of an article, white space joined."""
    article = page.read_text().split("<article")[1].split("</article>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", article)).split())


@pytest.fixture
def make_book(tmp_path):
    """-> a function that writes a book of the given notebooks and returns its root."""

    def make(**chapters):
        (tmp_path / "book" / "_static").mkdir(parents=True)
        (tmp_path / "book" / "intro.md").write_text("# Preface\n\nWords.\n")
        for name, nb in chapters.items():
            nbformat.write(nb, tmp_path / "book" / f"{name}.ipynb")
        lines = ["format: jb-book", "root: book/intro", "chapters:", *(f"  - file: book/{c}" for c in chapters)]
        (tmp_path / "_toc.yml").write_text("\n".join(lines) + "\n")
        for name in ("_config.yml", "book/references.bib", "book/_static/book.css"):
            shutil.copy(paths.ROOT / name, tmp_path / name)
        return tmp_path

    return make


def test_notebooks_come_in_reading_order_whatever_the_nesting(tmp_path):
    (tmp_path / "book").mkdir()
    for page in ("z.ipynb", "intro.md", "m.md", "a.ipynb", "k.ipynb"):
        (tmp_path / "book" / page).write_text("")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nparts:\n- chapters:\n  - file: book/z\n  - file: book/m\n"
        "    sections:\n    - file: book/k\n- chapters:\n  - file: book/a\n"
    )
    assert [p.stem for p in build.notebooks(tmp_path)] == ["z", "k", "a"]
    (tmp_path / "book" / "k.ipynb").unlink()
    with pytest.raises(CRSError, match="_toc.yml.*book/k"):
        build.notebooks(tmp_path)


@pytest.mark.parametrize(
    ("nb", "parameters", "complaint"),
    [
        (notebook(metadata={}), {}, "0 code cells"),
        (notebook(first='PROFIL = "smoke"'), {}, "does not assign 'PROFILE'"),
        (notebook(), {"PROFLE": "smoke"}, "does not assign 'PROFLE'"),
        (notebook(), {"PROFILE": "desktop"}, "smoke, laptop, colab, gpu"),
        (notebook(first="PROFILE ="), {}, "not Python"),
    ],
)
def test_bad_parameters_cost_one_sentence(nb, parameters, complaint):
    with pytest.raises(CRSError, match=complaint):
        build.check_parameters(nb, Path("book/x.ipynb"), parameters)


def test_good_parameters_pass():
    nb = notebook(first='SEED: int = 0\nPROFILE = "laptop"  # a comment')
    build.check_parameters(nb, Path("book/x.ipynb"), {"PROFILE": "gpu", "SEED": 3})


@pytest.mark.slow
def test_a_run_gets_its_profile_its_folder_and_the_package_and_leaves_its_headline(make_book, tmp_path):
    code = "from pathlib import Path\nfrom crs_lite.book import headline\n"
    code += "headline(f'{PROFILE} here', Path('intro.md').stat().st_size)"
    root = make_book(one=notebook(code))
    run = build.execute(root / "book" / "one.ipynb", tmp_path / "out" / "one.ipynb", "laptop", root=root)
    assert run.error is None and run.chapter == "book/one" and 0 < run.minutes < 1
    assert run.headlines == {"laptop here": (root / "book" / "intro.md").stat().st_size}
    done = nbformat.read(tmp_path / "out" / "one.ipynb", as_version=4)
    assert build.headlines(done) == run.headlines
    assert any("text/plain" in o.data for o in done.cells[-1].outputs)  # readers see it, too

    clean = render.without_added_cells(done)
    assert [c.source for c in clean.cells] == [c.source for c in notebook(code).cells]
    assert len(done.cells) == len(clean.cells) + 1
    records = {"papermill", "crs"}
    assert records <= set(done.metadata) and not records & set(clean.metadata)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_headline_is_a_finite_number(value):
    with pytest.raises(CRSError, match="finite"):
        lesson.headline("NDCG@10", value)


def test_peak_memory_is_that_of_the_children():
    child = [sys.executable, "-c", "import time; held = b'x' * 200_000_000; time.sleep(1.5)"]
    own = b"y" * 400_000_000  # ours does not count
    with build.PeakMemory() as memory:
        subprocess.run(child, check=True)
    assert 200e6 < memory.peak < 300e6
    del own


@pytest.mark.slow
def test_one_failing_chapter_stops_neither_the_others_nor_the_pages(make_book, tmp_path):
    failing = notebook("1 + 1", "raise RuntimeError('it broke\\nsecond line')")
    good = notebook("print('PROFILE', PROFILE)", "from crs_lite.book import headline\nheadline('hits', 3)")
    root = make_book(bad=failing, good=good)
    report = build.build_book("laptop", tmp_path / "build", root=root)
    bad, good = report.runs
    assert bad.error == "book/bad.ipynb, cell 4: RuntimeError: it broke" and good.error is None
    assert not report.ok and report.render_error is None
    summary = build.main_summary(report)
    assert bad.error in summary and str(report.index) in summary

    page = text_of(report.index.parent / "book" / "good.html")
    banner = page.index(f"This page shows a run of profile laptop made on {date.today()}, hardware {report.hardware}.")
    assert page.index("A title") < banner < page.index("A promise.")
    assert "hits: 3" in page
    assert "PROFILE laptop" in page and "# Parameters" not in page  # papermill's own cell starts with that comment
    assert "The run stopped before its end" in text_of(report.index.parent / "book" / "bad.html")
    assert "PROFILE laptop" not in (root / "book" / "good.ipynb").read_text()  # the sources stay as they were


@pytest.mark.slow
def test_any_warning_fails_the_pages_and_smoke_shows_the_committed_notebooks(make_book, tmp_path):
    root = make_book(one=notebook())
    with (root / "book" / "intro.md").open("a") as f:
        f.write("\nSee {doc}`nowhere`.\n")
    report = build.build_book("smoke", tmp_path / "build", run_notebooks=False, root=root)
    assert not report.ok and report.index is None
    assert "intro.md:5" in report.render_error and "nowhere" in report.render_error and "\n" not in report.render_error


@pytest.mark.slow
def test_chapters_can_be_run_one_at_a_time_and_the_pages_come_with_the_last(make_book, tmp_path, monkeypatch, capsys):
    def execute(path, output, profile, *, root):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(path.read_text())
        return build.NotebookRun(f"book/{path.stem}", 1.0, 1.0)

    monkeypatch.setattr(build, "execute", execute)
    monkeypatch.setattr(build, "render", lambda root, out, outputs: out / "html" / "index.html")
    root = make_book(one=notebook(), two=notebook())
    with pytest.raises(CRSError, match="'three'.*one, two"):
        build.build_book("laptop", tmp_path / "build", only="three", root=root)
    first = build.build_book("laptop", tmp_path / "build", only="o*", root=root)
    assert [run.chapter for run in first.runs] == ["book/one"] and first.ok and first.index is None
    assert "book/two have not run" in capsys.readouterr().out
    second = build.build_book("laptop", tmp_path / "build", only="two", root=root)
    assert [run.chapter for run in second.runs] == ["book/two"] and second.index is not None


def test_no_run_to_show(make_book, tmp_path):
    with pytest.raises(CRSError, match="no such run.*--profile laptop"):
        build.build_book("laptop", tmp_path / "build", run_notebooks=False, root=make_book(one=notebook()))


def test_the_table():
    runs = [
        build.NotebookRun("book/first", 0.5, 812.4, {"NDCG@10": 0.41234}),
        build.NotebookRun("book/a-longer-name", 12.345, 99.6),
        build.NotebookRun("book/third", 1.0, 5.0, {"HR@1": 0.1}, "book/third.ipynb, cell 2: ValueError: no"),
    ]
    report = build.BookReport("laptop", "2 cores", runs, Path("build/laptop/html/index.html"))
    assert build.main_summary(report).splitlines() == [
        "Profile laptop on 2 cores",
        "chapter             minutes  peak MB  headline",
        "book/first             0.50      812  NDCG@10 0.4123",
        "book/a-longer-name    12.35      100  -",
        "book/third             1.00        5  failed",
        "book/third.ipynb, cell 2: ValueError: no",
        f"Open {report.index}",
    ]
    assert not report.ok
