"""The runner of the book, on books of one or two tiny notebooks."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from little_book import notebook, text_of, write_book

from crs_lite.errors import CRSError
from crs_lite.site import build, render


def test_notebooks_come_in_reading_order_whatever_the_nesting(tmp_path):
    (tmp_path / "book").mkdir()
    for page in ("z.ipynb", "intro.md", "m.md", "a.ipynb", "k.ipynb"):
        (tmp_path / "book" / page).write_text("", encoding="utf-8")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nparts:\n- chapters:\n  - file: book/z\n  - file: book/m\n"
        "    sections:\n    - file: book/k\n- chapters:\n  - file: book/a\n",
        encoding="utf-8",
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
def test_a_run_gets_its_profile_its_folder_and_the_package_and_leaves_its_headline(tmp_path):
    code = "from pathlib import Path\nfrom crs_lite.chapters.lesson import headline\n"
    code += "headline(f'{PROFILE} here', Path('intro.md').stat().st_size)"
    root = write_book(tmp_path, one=notebook(code))
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


@pytest.mark.slow
def test_peak_memory_is_that_of_the_children():
    child = [sys.executable, "-c", "import time; held = b'x' * 200_000_000; time.sleep(1.5)"]
    own = b"y" * 400_000_000  # ours does not count
    with build.PeakMemory() as memory:
        subprocess.run(child, check=True)
    assert 200e6 < memory.peak < 300e6
    del own


@pytest.mark.slow
def test_one_failing_chapter_stops_neither_the_others_nor_the_pages(tmp_path):
    failing = notebook("1 + 1", "raise RuntimeError('it broke\\nsecond line')")
    good = notebook("print('PROFILE', PROFILE)", "from crs_lite.chapters.lesson import headline\nheadline('hits', 3)")
    root = write_book(tmp_path, bad=failing, good=good)
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
    source = (root / "book" / "good.ipynb").read_text(encoding="utf-8")
    assert "PROFILE laptop" not in source  # it stays as it was


BESIDE = """
import os, time
from pathlib import Path
Path(f"{NAME}.begun").touch()
until = time.time() + 120
while not Path(f"{OTHER}.begun").exists():  # it runs now, or this one fails
    assert time.time() < until, "alone"
    time.sleep(0.05)
"""
SHARED = """
from crs_lite.chapters.lesson import headline
from crs_lite.workspace import Workspace

def make(folder):
    with open("made.txt", "a") as made:
        made.write(NAME)
    time.sleep(0.5)
    (folder / "who.txt").write_text(str(os.getpid()))

stage = Workspace(Path("run"), 0).run("stage", {}, make)
headline("maker", int((stage.folder / "who.txt").read_text()))
headline("threads", int(os.environ["OMP_NUM_THREADS"]))
"""


@pytest.mark.slow
def test_two_notebooks_run_at_a_time_and_do_not_disturb_each_other(tmp_path, monkeypatch, capsys):
    """Two that meet and want the same stage: it is made once. A third fails, and a fourth comes after it."""
    monkeypatch.setattr(build, "_two_fit", lambda profile: True)
    monkeypatch.setattr(build, "render", lambda root, out, executed: out / "html" / "index.html")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def meets(name, other, held):
        code = f"NAME, OTHER, held = {name!r}, {other!r}, b'x' * {held}" + BESIDE
        return notebook(code, SHARED)

    root = write_book(
        tmp_path,
        last=notebook("from crs_lite.chapters.lesson import headline\nheadline('last', 1)"),
        fails=notebook("raise RuntimeError('it broke')"),
        big=meets("big", "small", 600_000_000),
        small=meets("small", "big", 1),
    )
    longest = {"big": 9.0, "small": 8.0, "fails": 7.0, "last": 1.0}
    monkeypatch.setattr(build, "recorded_minutes", lambda chapter, profile: longest[chapter])
    report = build.build_book("smoke", tmp_path / "build", root=root)
    last, fails, big, small = report.runs  # as the reader finds them, not as they ran
    assert [r.chapter for r in report.runs] == ["book/last", "book/fails", "book/big", "book/small"]
    assert fails.error == "book/fails.ipynb, cell 3: RuntimeError: it broke" and not report.ok
    assert [r.error for r in (last, big, small)] == [None] * 3 and last.headlines == {"last": 1}
    assert big.headlines == small.headlines and big.headlines["threads"] == 1
    assert (root / "book" / "made.txt").read_text() in ("big", "small")
    assert 500 < big.peak_mb - small.peak_mb < 700  # each counts its own
    assert report.whole.peak_mb > big.peak_mb + small.peak_mb - 100 and report.whole.minutes > big.minutes
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "4 notebooks, two at a time ..." and sum(" of 4: book/" in line for line in said) == 4
    assert "book/last done" in said[4] and "it broke" in "".join(said[1:5])


@pytest.mark.parametrize(
    ("profile", "cores", "memory", "fit"),
    [("smoke", 2, 8e9, True), ("smoke", 1, 8e9, False), ("smoke", 2, 4e9, False), ("laptop", 2, 64e9, False)],
)
def test_two_notebooks_run_at_a_time_where_they_fit(monkeypatch, profile, cores, memory, fit):
    monkeypatch.setattr(build.os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.setattr(build.psutil, "virtual_memory", lambda: SimpleNamespace(available=memory))
    assert build._two_fit(profile) == fit


def test_chapters_can_be_run_one_at_a_time_and_the_pages_come_with_the_last(tmp_path, monkeypatch, capsys):
    def execute(path, output, profile, *, root):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        return build.NotebookRun(f"book/{path.stem}", 1.0, 1.0)

    monkeypatch.setattr(build, "execute", execute)
    monkeypatch.setattr(build, "render", lambda root, out, outputs: out / "html" / "index.html")
    root = write_book(tmp_path, one=notebook(), two=notebook())
    with pytest.raises(CRSError, match="'three'.*one, two"):
        build.build_book("laptop", tmp_path / "build", only="three", root=root)
    first = build.build_book("laptop", tmp_path / "build", only="o*", root=root)
    assert [run.chapter for run in first.runs] == ["book/one"] and first.ok and first.index is None
    assert "book/two have not run" in capsys.readouterr().out
    second = build.build_book("laptop", tmp_path / "build", only="two", root=root)
    assert [run.chapter for run in second.runs] == ["book/two"] and second.index is not None
    assert second.whole is None and build.build_book("laptop", tmp_path / "build", root=root).whole is not None


def test_no_run_to_show(tmp_path):
    with pytest.raises(CRSError, match="no such run.*--profile laptop"):
        build.build_book("laptop", tmp_path / "build", run_notebooks=False, root=write_book(tmp_path, one=notebook()))


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
    whole = build.NotebookRun(build.WHOLE, 13.0, 1000.0)
    table = build.main_summary(replace(report, whole=whole)).splitlines()
    assert table[4:6] == ["book/third             1.00        5  failed", "the whole book        13.00     1000  -"]


def test_headlines_come_in_the_order_of_their_cells():
    def output(name, value):
        data = {build.HEADLINE_MIME: {"name": name, "value": value}, "text/plain": "shown"}
        return nbformat.v4.new_output("display_data", data=data)

    nb = notebook("a", "b", "c")
    nb.cells[2].outputs = [output("second last", 2.0), nbformat.v4.new_output("stream", text="x")]
    nb.cells[4].outputs = [output("last", 0.5)]
    assert list(build.headlines(nb).items()) == [("second last", 2.0), ("last", 0.5)]
    assert build.headlines(notebook("a")) == {}


def test_what_is_recorded_stays_until_it_is_recorded_again(tmp_path):
    path = tmp_path / "chapters.json"
    assert build.recorded_runs(path) == "No run has been recorded yet.\n"
    run = build.NotebookRun("book/ch", 1.234, 500.4, {"NDCG@10": 0.5})
    build.record(build.BookReport("laptop", "a machine", [run], None), path)
    build.record(build.BookReport("smoke", "another", [run], None), path)
    failed = build.NotebookRun("book/ch", 9.0, 9.0, {}, "it broke")
    build.record(build.BookReport("laptop", "a machine", [failed], None), path)
    whole = build.NotebookRun(build.WHOLE, 7.5, 3000.0)
    index = Path("index.html")
    build.record(build.BookReport("smoke", "a machine", [failed], index, whole=whole), path)
    assert build.WHOLE not in json.loads(path.read_text(encoding="utf-8"))  # a whole book is one without a fault
    build.record(build.BookReport("smoke", "another", [run], index, whole=whole), path)
    known = json.loads(path.read_text(encoding="utf-8"))
    assert known[build.WHOLE]["smoke"]["minutes"] == 7.5
    assert known["ch"]["laptop"]["minutes"] == 1.23 and known["ch"]["smoke"]["hardware"] == "another"
    assert "| ch | laptop | 1.2 | 500 | a machine |" in build.recorded_runs(path)


def test_a_kernel_that_died_before_it_began_is_started_once_more():
    tries = []

    def execute(path, *, fails, why="Kernel died before replying to kernel_info"):
        tries.append(path)
        if len(tries) <= fails:
            raise RuntimeError(why)

    build._once_more(execute, "a", fails=1)
    assert tries == ["a", "a"]
    for fails, why in ((2, "Kernel died before replying to kernel_info"), (1, "Kernel died")):
        tries.clear()
        with pytest.raises(RuntimeError):
            build._once_more(execute, "b", fails=fails, why=why)
        assert len(tries) == fails


@pytest.mark.slow
@pytest.mark.notebook
def test_the_book_s_own_python_runs_a_notebook_whatever_its_metadata_and_other_kernels_say(tmp_path, monkeypatch):
    root = write_book(tmp_path / "root", one=notebook("import sys\nprint(sys.executable)"))
    path = root / "book" / "one.ipynb"
    nb = nbformat.read(path, as_version=4)
    nb.metadata["kernelspec"] = {"name": "conda-env-other-py", "display_name": "An editor's", "language": "julia"}
    nb.metadata["language_info"] = {"name": "julia"}
    nbformat.write(nb, path)
    for name in ("python3", "conda-env-other-py", build.KERNEL):
        foreign = tmp_path / "jupyter" / "kernels" / name / "kernel.json"
        foreign.parent.mkdir(parents=True)
        argv = ["/nowhere/python", "-f", "{connection_file}"]
        foreign.write_text(json.dumps({"argv": argv, "display_name": "foreign", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    run = build.execute(path, tmp_path / "out.ipynb", "smoke", root=root)
    assert run.error is None
    assert sys.executable in (tmp_path / "out.ipynb").read_text(encoding="utf-8")
