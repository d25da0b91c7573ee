"""A set-up cannot stay broken: any folder name, a moved folder, half an environment, settings of the outside.

With stand-ins: a Python whose environments are a script, and a pip that only writes down how it was called.
"""

import os
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml

from crs_lite.paths import COLAB, ROOT

FILL = runpy.run_path(str(ROOT / ".ci" / "fill.py"), run_name="fill")
# Answers as Python would, but for two things: it "makes" an environment, and it "installs".
STAND_IN = """#!/bin/sh
here=$(dirname "$0")
echo "$0 $* | $(env | grep -E '^(PIP_|PYTHON)' | sort | tr '\\n' ' ')" >>{calls}
case "$1 $2 $3" in
"-m venv "*)
    [ ! -e {no_venv} ] || exit 1
    mkdir -p "$3/bin" "$3/lib" && cp "$0" "$3/bin/python"
    ;;
"-m pip --version") [ -d "$here/../lib" ] || exit 1 ;;
"-m pip config") cat {listed} ;;
"-m pip install") [ ! -e {no_network} ] || exit 1 ;;
*)
    case "$0" in */.venv/bin/python) export PYTHONPATH="$here/../.." ;; esac
    exec {python} "$@"
    ;;
esac
"""


class Checkout:
    """A copy of what a set-up reads, in a folder of any name, with a package of one module."""

    def __init__(self, root: Path, name: str):
        self.home, self.root = root, root / name
        self.calls, self.base = root / "calls", root / "bin of mine" / "python3"
        shutil.copytree(ROOT / ".ci", self.root / ".ci")
        (self.root / "crs_lite").mkdir()
        (self.root / "crs_lite" / "__init__.py").write_text("", encoding="utf-8")
        for file in ("requirements.txt", "constraints.txt"):
            (self.root / file).write_text("torch==0\n", encoding="utf-8")
        fill = self.root / ".ci" / "fill.py"  # libraries are another test's affair
        text = fill.read_text(encoding="utf-8").replace(
            "def check() -> None:\n", "def check() -> None:\n    return None\n"
        )
        fill.write_text(text, encoding="utf-8")
        self.base.parent.mkdir(exist_ok=True)
        (root / "listed").write_text("", encoding="utf-8")
        paths = {n: shlex.quote(str(root / n)) for n in ("calls", "no_venv", "listed", "no_network")}
        self.base.write_text(STAND_IN.format(python=shlex.quote(sys.executable), **paths), encoding="utf-8")
        self.base.chmod(0o755)

    def setup(self, **outside: str) -> tuple[int, str, list[str]]:
        """-> exit status, what was said, what was called."""
        self.calls.unlink(missing_ok=True)
        env = {**os.environ, **outside}
        words = ["bash", str(self.root / ".ci" / "setup"), str(self.base)]
        done = subprocess.run(words, env=env, capture_output=True, text=True, cwd="/")
        calls = self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []
        return done.returncode, done.stdout + done.stderr, [c.split(" -m ", 1)[1] for c in calls if " -m " in c]

    def made(self) -> bool:
        """Does the stamp say that the environment is whole?"""
        return (self.root / ".venv" / ".ready").exists()


NAMES = ["book", "Ann's book", 'cost $HOME "x" `y`', "Bücher 本 \u202e", "-rf *", "a\nb", "back\\slash;true"]


@pytest.mark.parametrize("name", NAMES)
def test_any_folder_name(tmp_path, name):
    checkout = Checkout(tmp_path, name)
    status, said, calls = checkout.setup(LC_ALL="C")
    assert status == 0 and checkout.made(), said
    assert [c.split()[0] for c in calls] == ["venv", "pip", "pip", "pip"]
    line = next((checkout.root / ".venv" / "lib").rglob("crs_lite_here.pth")).read_bytes().decode("ascii")
    found = subprocess.run(
        [sys.executable, "-I", "-c", f"{line}\nprint(ascii(sys.path[-1]))"], capture_output=True, text=True, cwd="/"
    )
    assert found.stdout.strip() == ascii(str(checkout.root)), found.stderr
    assert checkout.setup() == (0, "", [])  # a second call does nothing


def test_a_colon_in_the_name_is_said(tmp_path):
    status, said, calls = Checkout(tmp_path, "a:b").setup()
    assert (status, calls) == (1, []) and "rename the folder" in said and said.count("\n") == 1


def test_a_moved_a_half_made_and_a_dangling_environment_are_made_anew(tmp_path):
    checkout = Checkout(tmp_path, "book")
    venv = checkout.root / ".venv"

    def again(reason):
        status, said, calls = checkout.setup()
        assert status == 0 and checkout.made() and any(c.startswith("venv") for c in calls), (reason, said)

    again("there is none")
    moved = checkout.root.with_name("moved")
    checkout.root.rename(moved)
    checkout.root, venv = moved, moved / ".venv"
    again("moved")
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to(tmp_path / "gone")
    again("its interpreter is gone")
    shutil.rmtree(venv / "lib")
    (venv / ".ready").unlink()
    again("without pip")
    shutil.rmtree(venv)
    venv.symlink_to(tmp_path / "nowhere")
    again("a link to nowhere")
    venv.unlink() if venv.is_symlink() else shutil.rmtree(venv)
    venv.write_text("a file")
    again("a file")
    (checkout.root / "constraints.txt").write_text("torch==1\n", encoding="utf-8")
    status, _, calls = checkout.setup()  # other pins: filled again, not made anew
    assert status == 0 and not any(c.startswith("venv") for c in calls) and len(calls) == 4


def test_what_failed_once_is_done_again(tmp_path):
    checkout = Checkout(tmp_path, "book")
    (tmp_path / "no_venv").touch()
    status, said, _ = checkout.setup()
    assert status == 1 and "apt-get install python3-venv" in said and not (checkout.root / ".venv").exists()
    (tmp_path / "no_venv").unlink()
    (tmp_path / "no_network").touch()
    status, said, _ = checkout.setup()
    assert status == 1 and "pip could not install" in said and not checkout.made()
    (tmp_path / "no_network").unlink()
    status, said, calls = checkout.setup()
    assert status == 0 and checkout.made() and calls[0].startswith("pip"), said


@pytest.mark.slow
def test_the_stamp_means_that_everything_imports(tmp_path):
    """What cannot be imported is named, and the next call makes the environment anew."""
    checkout = Checkout(tmp_path, "book")
    fill = checkout.root / ".ci" / "fill.py"
    text = fill.read_text(encoding="utf-8").replace("    return None\n", "")
    fill.write_text(text.replace("NO_MODULE = {", 'NO_MODULE = {"torch", '), encoding="utf-8")
    status, said, _ = checkout.setup()
    assert status == 1 and "torch 0 cannot be imported (ImportError: version" in said and not checkout.made()
    (checkout.root / "requirements.txt").write_text(f"torch=={version('torch').split('+')[0]}\n", encoding="utf-8")
    (checkout.root / "crs_lite" / "broken.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    status, said, calls = checkout.setup(PYTHONPATH="")
    assert status == 1 and calls[0].startswith("venv") and not checkout.made()
    assert "crs_lite.broken cannot be imported (ModuleNotFoundError: No module named 'nothing_of_that_name')" in said


def test_settings_of_the_outside_that_lead_elsewhere_do_not_count(tmp_path):
    checkout = Checkout(tmp_path, "book")
    listed = "global.index-url='file:///mine'\ninstall.user='true'\nglobal.target='/elsewhere'\n:env:.prefix='/x'\n"
    (tmp_path / "listed").write_text(listed, encoding="utf-8")
    outside = {"PIP_USER": "1", "PIP_TARGET": "/x", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_NO_DEPS": "1"}
    outside |= {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "PIP_PYTHON": "/nowhere"}
    # or keeps libraries from being compiled once for all: every process would do it anew
    status, said, calls = checkout.setup(**outside, PYTHONDONTWRITEBYTECODE="1")
    assert status == 0, said
    installs = [c for c in calls if c.startswith("pip install")]
    assert len(installs) == 2 and "--require-hashes" in installs[0] and "torch==0" in installs[1]
    for call in installs:
        settings = dict(word.split("=", 1) for word in call.split(" | ")[1].split())
        assert settings["PIP_INDEX_URL"] == "file:///mine" and settings["PIP_CONFIG_FILE"] == os.devnull
        assert set(settings) <= {
            "PIP_INDEX_URL", "PIP_CONFIG_FILE", "PIP_DISABLE_PIP_VERSION_CHECK", "PYTHONUTF8", "PYTHONNOUSERSITE",
            "PYTHONHASHSEED", "PYTHONUNBUFFERED", "PYTHONPYCACHEPREFIX",
        }  # fmt: skip


def test_where_packages_come_from_is_kept():
    listed = (
        "global.extra-index-url='file:///a\\nfile:///b'\nglobal.cert='/c'\n:env:.default-timeout='180'\n"
        "install.no-binary=':all:'\nnonsense\n"
    )
    made = FILL["environment"]({"PIP_USER": "1", "pip_root": "/", "HOME": "/h"}, listed)
    assert made == {
        "HOME": "/h",
        "PIP_EXTRA_INDEX_URL": "file:///a file:///b",
        "PIP_CERT": "/c",
        "PIP_DEFAULT_TIMEOUT": "180",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


# -- supply ----------------------------------------------------------------------------------------------------


def blocks(path: Path) -> dict[str, str]:
    """`NAME==VERSION` -> its hashes, in a file of pins with hashes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(("#", " ")):
            name = line.split()[0]
            found[name] = found.get(name, "")
        elif line.startswith(" "):
            found[name] += line
    return found


def test_every_pin_but_torch_has_its_hashes():
    locked = blocks(ROOT / "constraints.txt")
    pinned = [line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if "==" in line]
    assert set(pinned) - set(locked) == {next(p for p in pinned if p.startswith("torch=="))}
    assert all(hashes.count("--hash=sha256:") >= 1 for hashes in locked.values())
    assert not [name for name in locked if name.startswith(("torch==", "nvidia", "triton"))]
    colab = [line for line in (COLAB / "requirements.txt").read_text(encoding="utf-8").splitlines() if "==" in line]
    assert blocks(COLAB / "hashes.txt") == {name: locked[name] for name in sorted(colab)}


def test_what_is_installed_is_what_is_locked():
    wanted = dict(name.split("==") for name in blocks(ROOT / "constraints.txt"))
    known = [line.split("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line]
    for name in set(known) - {"torch"}:
        try:
            assert version(name) == wanted[name]
        except PackageNotFoundError:
            pytest.fail(f"{name} is not installed")


def test_the_workflow_may_only_read():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        flow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert flow["permissions"] == {"contents": "read"}
        assert not any("permissions" in job for job in flow["jobs"].values())
        checkouts = [s for job in flow["jobs"].values() for s in job["steps"] if "checkout" in s.get("uses", "")]
        assert checkouts and all(s["with"]["persist-credentials"] is False for s in checkouts)


def test_the_project_names_the_pythons_that_the_set_up_takes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    for name in ("Makefile", ".ci/setup"):
        assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (ROOT / name).read_text(encoding="utf-8")
