"""Arrays and their description on disk: safetensors and JSON, the same bytes for the same content."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..errors import CRSError


def write_arrays(path: Path, arrays: dict[str, np.ndarray], about: dict) -> None:
    """Write named arrays with a JSON description in the file's header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # One metadata key only: safetensors writes several keys in no fixed order, so bytes would differ between runs.
    about_json = json.dumps(about, sort_keys=True, ensure_ascii=False)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, str(path), metadata={"about": about_json})


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """What `write_arrays` wrote, as (arrays, description). Raises `CRSError` for a missing or damaged file."""
    if not path.is_file():
        raise CRSError(f"{path}: no such file; check the path, or build it again.")
    try:
        with safe_open(str(path), framework="np") as f:
            return {k: f.get_tensor(k) for k in f.keys()}, json.loads((f.metadata() or {}).get("about", "{}"))
    except (SafetensorError, json.JSONDecodeError, OSError) as e:
        raise CRSError(f"{path}: damaged safetensors file ({e}); fetch or build it again.") from None
