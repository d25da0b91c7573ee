"""Run every chapter of the book: the notebooks listed in `_toc.yml`, with papermill, so that one dial sets the
profile."""

from __future__ import annotations

import ast
import math
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import psutil
from nbformat import NotebookNode

from crs_lite.chapters.lesson import HEADLINE_MIME, Recorded, recorded_minutes
from crs_lite.errors import CRSError
from crs_lite.files import read_json, write_json
from crs_lite.paths import CHAPTERS, ROOT
from crs_lite.profiles import get_profile
from crs_lite.site.render import render, without_added_cells
from crs_lite.workspace import hardware

KERNEL = "crs-lite"
WHOLE = "the whole book"  # beside the chapters, in what is recorded
ROOM = 5e9  # bytes that two of the largest chapters want at `smoke`, with what runs them


@dataclass(frozen=True)
class NotebookRun:
    """One executed chapter. `peak_mb` sums the resident memory (MB, 10^6 bytes) of the kernel's process tree."""

    chapter: str  # as in _toc.yml
    minutes: float
    peak_mb: float
    headlines: dict[str, float] = field(default_factory=dict)
    error: str | None = None  # one sentence, when the notebook failed


@dataclass(frozen=True)
class BookReport:
    """What `build_book` did. `index` is the first page, None when the pages could not be rendered. `whole`: of every
    notebook and the pages together, by the clock, with the memory of all processes at once; None after less."""

    profile: str
    hardware: str
    runs: list[NotebookRun]
    index: Path | None
    render_error: str | None = None
    whole: NotebookRun | None = None

    @property
    def ok(self) -> bool:
        """Whether every notebook ran and the pages were rendered."""
        return self.render_error is None and not any(run.error for run in self.runs)


def headlines(notebook: NotebookNode) -> dict[str, float]:
    """Every metric the notebook recorded with `headline`, in the order of its cells."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            record = output.get("data", {}).get(HEADLINE_MIME)
            if record is not None:
                found[record["name"]] = record["value"]
    return found


# -- which notebooks, with which parameters --------------------------------------------------------


def notebooks(root: Path = ROOT) -> list[Path]:
    """The notebooks of `root/_toc.yml`, in reading order. Raises `CRSError` when the file lists a missing page."""
    from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

    toc = root / "_toc.yml"
    try:
        site = parse_toc_yaml(toc)
    except (OSError, MalformedError) as e:
        raise CRSError(f"{toc}: {e}; mend the table of contents.") from None
    found, waiting = [], [site.root.docname]
    while waiting:
        page = waiting.pop(0)
        if (root / f"{page}.ipynb").exists():
            found.append(root / f"{page}.ipynb")
        elif not (root / f"{page}.md").exists():
            raise CRSError(f"{toc}: lists {page!r}, but there is no such .ipynb or .md; add the page or drop the line.")
        waiting = [str(child) for child in site[page].child_files()] + waiting
    return found


def check_parameters(notebook: NotebookNode, path: Path, parameters: dict[str, object]) -> None:
    """Papermill only warns about a parameter the notebook does not have; a book must not run on defaults unnoticed.

    Raises `CRSError` unless exactly one code cell is tagged `parameters` and assigns PROFILE and every name given,
    or when PROFILE is none of ours.
    """
    cells = [c for c in notebook.cells if c.cell_type == "code" and "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise CRSError(f"{path}: {len(cells)} code cells are tagged 'parameters'; tag exactly one.")
    try:
        statements = ast.parse(cells[0].source).body
    except SyntaxError as e:
        raise CRSError(f"{path}: the parameters cell is not Python ({e.msg}); mend it.") from None
    assigned = {
        target.id
        for s in statements
        for target in (s.targets if isinstance(s, ast.Assign) else [getattr(s, "target", None)])
        if isinstance(target, ast.Name)
    }
    for name in ["PROFILE", *parameters]:
        if name not in assigned:
            raise CRSError(f"{path}: the parameters cell does not assign {name!r}; add it there or drop the parameter.")
    if "PROFILE" in parameters:
        get_profile(str(parameters["PROFILE"]))


# -- running ---------------------------------------------------------------------------------------


class PeakMemory:
    """Context manager: the most memory (bytes, resident) held at once by processes started inside it.

    Sampled five times a second. Pages that processes share count once for each, so it errs on the high side.
    """

    def __enter__(self) -> PeakMemory:
        self.peak = 0
        self._me = psutil.Process()
        self._before = set(self._me.children(recursive=True))
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.2):
            total = 0
            for process in set(self._me.children(recursive=True)) - self._before:
                try:
                    total += process.memory_info().rss
                except psutil.Error:  # it ended between the listing and the look
                    pass
            self.peak = max(self.peak, total)


@contextmanager
def _kernel_environment(root: Path) -> Iterator[None]:
    """Kernels start in the notebook's folder: let them import the package; and tqdm need not ask for widgets.

    The kernel `KERNEL` is this Python, whatever other kernels are installed and whatever an editor wrote into the
    notebook's metadata."""
    before = os.environ.copy()
    scratch = tempfile.TemporaryDirectory()
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    about = {"argv": argv, "display_name": "Python of the book", "language": "python"}
    write_json(Path(scratch.name) / "kernels" / KERNEL / "kernel.json", about)
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [scratch.name, before.get("JUPYTER_PATH")]))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), str(ROOT), before.get("PYTHONPATH")]))
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [before.get("PYTHONWARNINGS"), "ignore:IProgress not found"]))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        scratch.cleanup()


def _once_more(execute: Callable, *args, **options) -> None:
    """`execute`, again if its kernel died before it had begun: two that start at once can be given one port."""
    try:
        execute(*args, **options)
    except RuntimeError as e:
        if "before replying to kernel_info" not in str(e):
            raise
        execute(*args, **options)


def execute(path: Path, output: Path, profile: str, *, root: Path = ROOT, bar: bool = True) -> NotebookRun:
    """Run one notebook from top to bottom in its own folder, and write it, outputs included, to `output`. A `bar` shows
    how far it is.

    A failing cell does not raise: the returned `error` names it. The notebook imports the `crs_lite` of `root`, if
    there is one. Raises `CRSError` as `check_parameters` does.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    chapter = path.relative_to(root).with_suffix("").as_posix()
    parameters = {"PROFILE": profile}
    check_parameters(nbformat.read(path, as_version=4), path.relative_to(root), parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    error, start = None, time.perf_counter()
    with PeakMemory() as memory, _kernel_environment(root):
        try:
            _once_more(
                papermill.execute_notebook,
                str(path),
                str(output),
                parameters,
                cwd=str(path.parent),
                kernel_name=KERNEL,
                language="python",
                progress_bar={"desc": chapter} if bar else False,
                extra_arguments=["--log-level=ERROR"],  # of the kernel: its warnings are not about the notebook
            )
        except PapermillExecutionError as e:
            error = f"{e.ename}: {_first_line(e.evalue)}"
        except Exception as e:  # a kernel that dies or cannot start must not keep the other chapters from running
            error = f"{type(e).__name__}: {_first_line(str(e))}"
    minutes = (time.perf_counter() - start) / 60
    done = nbformat.read(output, as_version=4) if output.exists() else nbformat.read(path, as_version=4)
    if error:
        error = f"{chapter}.ipynb, {_failed_cell(done)}: {error}"
    today = date.today().isoformat()
    done.metadata["crs"] = {"profile": profile, "date": today, "hardware": hardware(), "error": error}
    nbformat.write(done, output)
    return NotebookRun(chapter, minutes, memory.peak / 1e6, headlines(done), error)


def _first_line(text: str) -> str:
    lines = text.strip().splitlines() or ["no message"]
    return lines[0][:300]


def _failed_cell(notebook: NotebookNode) -> str:
    """ "cell 7", counted from 1 as in the committed notebook."""
    for number, cell in enumerate(without_added_cells(notebook).cells, 1):
        if any(output.output_type == "error" for output in cell.get("outputs", [])):
            return f"cell {number}"
    return "outside any cell"


# -- the whole book -------------------------------------------------------------------------------


def _two_fit(profile: str) -> bool:
    """Whether two notebooks run at a time. Not beyond `smoke`: there a chapter may use every core and much memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return profile == "smoke" and cores >= 2 and psutil.virtual_memory().available >= ROOM


def _one_of_two() -> None:
    """What a process does before it runs notebooks beside another: its kernels get one thread each, and it ends with
    the process that started it, even when that one is killed (kernels do so by themselves)."""
    os.environ["OMP_NUM_THREADS"] = "1"
    parent = multiprocessing.parent_process()
    assert parent
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _run_two_at_a_time(
    chapters: dict[str, Path], outputs: dict[str, Path], profile: str, root: Path
) -> list[NotebookRun]:
    """`execute` in two processes, so that environment and memory of a notebook are its own; those that took longest
    when they were recorded begin, new ones before them. Returns the runs in the order of `chapters`."""
    waiting = sorted(chapters, key=lambda c: -(recorded_minutes(Path(c).name, profile) or math.inf))
    runs: dict[str, NotebookRun] = {}
    running: dict[Future[NotebookRun], str] = {}
    print(f"{len(chapters)} notebooks, two at a time ...", flush=True)
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=fresh, initializer=_one_of_two) as pool:
        while waiting or running:
            while waiting and len(running) < 2:  # and none before its turn: Ctrl-C waits for the two that run
                chapter = waiting.pop(0)
                task = pool.submit(execute, chapters[chapter], outputs[chapter], profile, root=root, bar=False)
                running[task] = chapter
            for task in wait(running, return_when=FIRST_COMPLETED).done:
                chapter = running.pop(task)
                try:
                    run = runs[chapter] = task.result()
                except BrokenProcessPool:
                    raise CRSError(
                        "a process that ran notebooks was ended from outside; free memory, run again."
                    ) from None
                said = f"failed ({run.error})" if run.error else "done"
                print(f"{len(runs):3d} of {len(chapters)}: {chapter} {said}, {run.minutes:.1f} min", flush=True)
    return [runs[chapter] for chapter in chapters]


def build_book(
    profile: str, out: Path, *, run_notebooks: bool = True, only: str = "*", root: Path = ROOT
) -> BookReport:
    """Run every notebook (or those whose name matches `only`) at `profile` into `out/profile/notebooks`, then render
    the pages into `out/profile/html`.

    `smoke` pages show the committed notebooks, other profiles the run just made (or, with `run_notebooks=False`,
    the run found in `out/profile/notebooks`). At `smoke` two notebooks run at a time, one thread each, where a second
    core and the memory are there. A failing notebook does not stop the others: see `BookReport.ok`. After `only`,
    pages wait until every notebook has run.
    Raises `CRSError` for an unknown profile, a pattern that no notebook matches, a notebook without a proper parameters
    cell, or no run to show.
    """
    get_profile(profile)
    out = out.resolve() / profile
    out.mkdir(parents=True, exist_ok=True)
    chapters = {path.relative_to(root).with_suffix("").as_posix(): path for path in notebooks(root)}
    outputs = {chapter: out / "notebooks" / f"{chapter}.ipynb" for chapter in chapters}
    for path in chapters.values():  # before the first of them runs for an hour
        check_parameters(nbformat.read(path, as_version=4), path.relative_to(root), {"PROFILE": profile})
    some = {chapter: path for chapter, path in chapters.items() if run_notebooks and fnmatch(path.stem, only)}
    if run_notebooks and not some:
        raise CRSError(
            f"no notebook is called {only!r}; use a pattern for {', '.join(p.stem for p in chapters.values())}."
        )
    start = time.perf_counter()
    with PeakMemory() as memory:
        if len(some) > 1 and _two_fit(profile):
            runs = _run_two_at_a_time(some, outputs, profile, root)
        else:
            runs = [execute(path, outputs[chapter], profile, root=root) for chapter, path in some.items()]
        missing = [chapter for chapter, path in outputs.items() if profile != "smoke" and not path.exists()]
        if missing and only != "*":
            print(f"No pages yet: {', '.join(missing)} have not run at {profile}.")
            return BookReport(profile, hardware(), runs, None)
        if missing:
            raise CRSError(
                f"{outputs[missing[0]]}: no such run; run `python -m crs_lite book --profile {profile}` first."
            )
        index, fault = None, None
        try:
            print("Rendering the pages ...", flush=True)
            index = render(root, out, None if profile == "smoke" else outputs)
        except CRSError as e:
            fault = str(e)
    whole = NotebookRun(WHOLE, (time.perf_counter() - start) / 60, memory.peak / 1e6)
    return BookReport(profile, hardware(), runs, index, fault, whole if len(runs) == len(chapters) else None)


def record(report: BookReport, path: Path = CHAPTERS) -> None:
    """Keep minutes, memory and headline metrics of every chapter that ran without a fault, and of the book as a whole
    if all did, beside those of other profiles."""
    known = _recorded(path)
    for run in [*report.runs, *([report.whole] if report.whole and report.ok else [])]:
        if run.error is None:
            row = {"minutes": round(run.minutes, 2), "peak_mb": round(run.peak_mb), "headlines": run.headlines}
            row |= {"hardware": report.hardware, "date": date.today().isoformat()}
            known.setdefault(Path(run.chapter).name, {})[report.profile] = row
    write_json(path, known, indent=1, sort_keys=True)


def _recorded(path: Path) -> dict[str, dict[str, dict]]:
    known: dict = {}
    if path.exists():
        known = read_json(path, dict[str, dict[str, Recorded]], "restore it, or delete it and record again.")
    return {chapter: {k: run.model_dump() for k, run in runs.items()} for chapter, runs in known.items()}


def recorded_runs(path: Path = CHAPTERS) -> str:
    """The instructor's table, in Markdown: chapter and profile -> minutes, memory, hardware of the recorded run."""
    known = _recorded(path)
    lines = ["| notebook | profile | minutes | memory, MB | on |", "|" + " --- |" * 5]
    for chapter, runs in sorted(known.items()):
        for profile, run in runs.items():
            lines.append(f"| {chapter} | {profile} | {run['minutes']:.1f} | {run['peak_mb']} | {run['hardware']} |")
    return "\n".join(lines if len(lines) > 2 else ["No run has been recorded yet."]) + "\n"


def main_summary(report: BookReport) -> str:
    """What `make book` prints last: the table of chapters, the faults, and where the pages are."""
    lines = []
    if report.runs:
        rows = [("chapter", "minutes", "peak MB", "headline")]
        for run in [*report.runs, *([report.whole] if report.whole else [])]:
            metric = ", ".join(f"{name} {value:.4g}" for name, value in run.headlines.items()) or "-"
            rows.append((run.chapter, f"{run.minutes:.2f}", f"{run.peak_mb:.0f}", "failed" if run.error else metric))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines.append(f"Profile {report.profile} on {report.hardware}")
        lines += [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}" for a, b, c, d in rows]
    lines += [run.error for run in report.runs if run.error]
    if report.render_error:
        lines.append(report.render_error)
    if report.index:
        lines.append(f"Open {report.index}")
    return "\n".join(lines)
