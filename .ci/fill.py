"""Fills the environment that runs it: what is pinned, from where the user gets packages; then imports all of it.

Every package but torch is checked against its sha256 in constraints.txt and comes without being asked what else it
needs: all of it stands there. torch carries no hash, because a machine may have a build of its own of the same version
(for its accelerator, or for none). The environment counts as whole when every module of the package and every pinned
library can be imported, in the version that is pinned.
"""

from __future__ import annotations

import ast
import os
import pkgutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import packages_distributions, version
from pathlib import Path

# Settings of pip that say where packages come from are the user's own affair; all others would put them elsewhere,
# leave some out, or ask for what is not there.
FROM = """index-url extra-index-url find-links no-index trusted-host proxy cert client-cert keyring-provider timeout
default-timeout retries cache-dir no-cache-dir""".split()
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / "bin" / "python")
NO_MODULE = {"jupyter-book", "sphinx-mathjax-offline", "ruff"}  # a command, an asset, a binary: asked for by version


def environment(outside: Mapping[str, str], listed: str) -> dict[str, str]:
    """The environment for pip. `listed`: what `pip config list` says, one `SECTION.NAME='VALUE'` a line."""
    kept = {k: v for k, v in outside.items() if not k.upper().startswith("PIP_")}
    for line in listed.splitlines():
        name, equals, value = line.partition("=")
        setting = name.rsplit(".", 1)[-1]
        if equals and setting in FROM:
            kept["PIP_" + setting.replace("-", "_").upper()] = " ".join(ast.literal_eval(value).split("\n"))
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def pins(path: Path) -> dict[str, str]:
    """Package -> version."""
    lines = (line.split(";")[0] for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return dict(line.strip().split("==") for line in lines if "==" in line)


def install() -> None:
    """Put in what is pinned."""
    pip = [PYTHON, "-m", "pip"]
    # A list of settings needs no settings; those that forbid pip to work outside an environment do not matter in one.
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, encoding="utf-8", errors="replace").stdout
    where = environment(os.environ, listed)
    torch = f"torch=={pins(ROOT / 'requirements.txt')['torch']}"
    hashed = ["--no-deps", "--require-hashes", "-r", "constraints.txt"]
    for what in (hashed, [torch]):
        done = subprocess.run([*pip, "install", "--no-compile", "--prefer-binary", *what], env=where)
        if done.returncode:
            sys.exit(f"pip could not install {what[-1]}; see above. Mend that and run the same command again.")


def find_the_project() -> None:
    """A line that makes `import crs_lite` work in a notebook started from any folder, whatever the folder is called."""
    here = os.fsencode(ROOT)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(VENV)}))
    packages.mkdir(parents=True, exist_ok=True)
    path = packages / "crs_lite_here.pth"
    path.write_text(f"import os, sys; sys.path.append(os.fsdecode({here!r}))\n", encoding="ascii")


def check() -> None:
    """Import everything. Ends with a sentence that names what cannot be imported, or has another version."""
    wanted = pins(ROOT / "requirements.txt")
    modules = {}
    for module, packages in packages_distributions().items():
        for package in packages:
            modules.setdefault(package.lower().replace("_", "-"), []).append(module)
    for package, pinned in wanted.items():
        try:
            found = version(package).split("+")[0]
            if found != pinned:
                raise ImportError(f"version {found} is there")
            names = [] if package in NO_MODULE else modules.get(package, [])
            public = [name for name in names if name.isidentifier() and not name.startswith(("_", "test"))]
            for name in public[:1]:
                import_module(name)
        except Exception as e:
            sys.exit(f"{package} {pinned} cannot be imported ({type(e).__name__}: {e})")
    import crs_lite

    if (found := Path(crs_lite.__path__[0]).resolve().parent) != ROOT:
        sys.exit(f"crs_lite is imported from {found}, not from {ROOT}.")
    for module in pkgutil.walk_packages(crs_lite.__path__, "crs_lite."):
        try:
            import_module(module.name)
        except Exception as e:
            sys.exit(f"{module.name} cannot be imported ({type(e).__name__}: {e})")


def main() -> int:
    """Everything. `check` is done by a process of its own, started elsewhere, which finds what a notebook finds."""
    if sys.argv[1:] == ["check"]:
        check()
        return 0
    install()
    find_the_project()
    whole = subprocess.run([PYTHON, os.path.abspath(__file__), "check"], cwd="/").returncode == 0
    if not whole:
        (VENV / ".folder").unlink(missing_ok=True)  # the next call makes the environment anew
        print("The environment is not whole; run the same command again, and it is made anew.", file=sys.stderr)
    return int(not whole)


if __name__ == "__main__":
    sys.exit(main())
