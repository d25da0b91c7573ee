"""Every copy for Colab, run where nothing is but what its own first cell installs. Needs the network and half an hour.

    python tests/fresh_colab.py FOLDER [--profile smoke] [--only 'ch0*'] [--two-steps]

FOLDER gets an empty Python environment with a notebook kernel, a stand-in for the package `google.colab`, and the last
commit of this checkout as what `git clone` of the book's address finds. The first cell of each copy runs as it stands.
With `CRS_LITE_STAND_IN=FOLDER_OF_A_MODEL` the profile `colab` takes that model and `smoke`'s budgets. With
`--two-steps` the profile `colab` keeps its own model, SmolLM2, and every stage ends after two optimiser steps: to see
that all of them go through, not to learn.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from crs_lite.paths import COLAB  # noqa: E402
from crs_lite.profiles import STAND_IN  # noqa: E402
from crs_lite.site.address import Address, address  # noqa: E402

# Run in the kernel before the first cell; the package is there only after it. Every collected request is kept: a model
# of two steps writes no thought that ends and is right, and consolidation would have nothing to take a step on.
TWO_STEPS = """
from dataclasses import replace

FEW = dict(
    train_requests=300, distil_requests=100, align_item_epochs=1, align_context_epochs=1, batch_tokens=640,
    rl_steps=2, rl_prompts=2, rl_group=4, collect_requests=8, eval_requests=8, valid_requests=8, check_items=8,
    max_reasoning=24, thoughts=4, intervened=2, eval_batch=16,
)

def two_steps(*_):
    try:
        from crs_lite import evolve, profiles
        from transformers import TrainingArguments
    except ImportError:
        return
    get_ipython().events.unregister("post_run_cell", two_steps)
    profiles.PROFILES["colab"] = replace(profiles.PROFILES["colab"], **FEW)
    collect, begin = evolve.collect, TrainingArguments.__post_init__

    def all_of_them(model, codec, requests, *others, **named):
        found = dict(collect(model, codec, requests, *others, **named))
        return [(row, found.get(row, "They may want what they asked for.")) for row in range(len(requests))]

    def short(self):
        self.max_steps = 2
        begin(self)

    evolve.collect, TrainingArguments.__post_init__ = all_of_them, short

get_ipython().events.register("post_run_cell", two_steps)
"""


def stand_in(folder: Path, two_steps: bool = False) -> None:
    """A package `google.colab` with a `drive`, loaded before the first cell as on Colab."""
    package = folder / "colab-package" / "google" / "colab"
    package.mkdir(parents=True, exist_ok=True)
    (package / "drive.py").write_text("def mount(where):\n    raise OSError('no Drive here')\n", encoding="utf-8")
    for file in (package / "__init__.py", package.parent / "__init__.py"):
        file.touch()
    startup = folder / "home" / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    (startup / "00-colab.py").write_text("import google.colab\n", encoding="utf-8")
    (startup / "01-two-steps.py").write_text(TWO_STEPS if two_steps else "", encoding="utf-8")


def publish(folder: Path, where: Address, root: Path = ROOT) -> None:
    """The last commit of `root` is what a clone of the book's address gets, for programs whose home is FOLDER/home."""
    bare = folder / "published.git"
    if not bare.exists():
        subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    subprocess.run(["git", "-C", str(root), "push", "-q", "-f", str(bare), f"HEAD:{where.branch}"], check=True)
    (folder / "home").mkdir(exist_ok=True)
    instead = f'[url "{bare.as_uri()}"]\n\tinsteadOf = {where.url}\n'
    (folder / "home" / ".gitconfig").write_text(instead, encoding="utf-8")


def python_of(folder: Path) -> Path:
    """The interpreter of an environment that holds a kernel and nothing else, made on the first call."""
    python = folder / "environment" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "ipykernel"], check=True)
    return python


def environment(folder: Path) -> dict[str, str]:
    """What kernels in FOLDER see of the outside: little."""
    path = [folder / "environment" / "bin", "/usr/local/bin", "/usr/bin", "/bin"]
    kept = {name: os.environ[name] for name in (STAND_IN, "OMP_NUM_THREADS") if name in os.environ}
    own = {"HOME": str(folder / "home"), "PYTHONPATH": str(folder / "colab-package"), "LANG": "C.UTF-8"}
    return {"PATH": os.pathsep.join(map(str, path)), **own, **kept}


def run(copy: Path, profile: str, folder: Path, python: Path) -> str:
    """Run a copy from top to bottom and keep it in FOLDER/done. Returns what went wrong, or ""."""
    notebook = nbformat.read(copy, as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):  # the one word that a reader changes
            cell.source = cell.source.replace('PROFILE = "colab"', f'PROFILE = "{profile}"')
    manager = AsyncKernelManager(kernel_name="python3")
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=argv, display_name="Colab", language="python")
    wrong, content = "", folder / "content"
    content.mkdir(exist_ok=True)
    try:
        NotebookClient(notebook, km=manager, timeout=None).execute(cwd=str(content), env=environment(folder))
    except CellExecutionError as e:
        wrong = f"{e.ename}: {e.evalue}"
    except DeadKernelError as e:
        wrong = str(e)
    finally:
        asyncio.run(manager.shutdown_kernel(now=True))
    (folder / "done").mkdir(exist_ok=True)
    nbformat.write(notebook, folder / "done" / copy.name)
    return wrong


def main() -> int:
    """0 when every copy ran to its end."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folder", type=Path)
    words.add_argument("--profile", default="smoke")
    words.add_argument("--only", default="*")
    words.add_argument("--two-steps", action="store_true")
    args = words.parse_args()
    folder, where = args.folder.resolve(), address(ROOT)
    assert where, "no address: see _config.yml"
    folder.mkdir(parents=True, exist_ok=True)
    stand_in(folder, args.two_steps)
    publish(folder, where)
    python, failed = python_of(folder), 0
    for copy in sorted(path for path in COLAB.glob("*.ipynb") if fnmatch(path.stem, args.only)):
        started = time.perf_counter()
        wrong = run(copy, args.profile, folder, python)
        failed += bool(wrong)
        minutes = (time.perf_counter() - started) / 60
        print(f"{copy.stem:30s} {args.profile:8s} {minutes:5.1f} min  {wrong or 'ran'}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
