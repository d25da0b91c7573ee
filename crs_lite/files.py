"""Files: written whole or not at all, read with a sentence when they are not what they should be. UTF-8, never
pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from crs_lite.errors import CRSError

T = TypeVar("T")


def write_bytes(path: Path, data: bytes) -> None:
    """`path` afterwards holds `data`, or what it held before: never half of it. Makes the folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        unfinished.write_bytes(data)
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of the text in UTF-8. Raises `UnicodeEncodeError` for lone surrogates, before anything is
    touched."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any, indent: int | None = None, sort_keys: bool = False) -> None:
    """`write_text` of a JSON value and a line end. Raises `TypeError` for what JSON does not know, and `CRSError` for
    numbers that are not finite."""
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, sort_keys=sort_keys, allow_nan=False)
    except ValueError as e:
        raise CRSError(f"{path}: not written, for it would hold numbers that are not finite ({e}).") from None
    write_text(path, text + "\n")


def write_json_lines(path: Path, rows: Iterable[dict]) -> None:
    """One JSON object a line."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_json(path: Path, model: type[T], remedy: str) -> T:
    """The JSON value in `path`, checked against `model`: a pydantic model or any type pydantic understands (`dict`,
    `list[int]`). Raises `CRSError`: file, line or field, and the `remedy`, which is the end of that sentence."""
    try:
        value = json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=int)  # NaN is no number
    except FileNotFoundError:
        raise CRSError(f"{path}: no such file; {remedy}") from None
    except OSError as e:
        raise CRSError(f"{path}: cannot be read ({e.strerror}); {remedy}") from None
    except json.JSONDecodeError as e:
        raise CRSError(f"{path}, line {e.lineno}: damaged ({e.msg}); {remedy}") from None
    except (ValueError, RecursionError) as e:  # not UTF-8, digits without end, nesting without end
        raise CRSError(f"{path}: damaged ({str(e)[:120]}); {remedy}") from None
    try:
        return TypeAdapter(model).validate_python(value)
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise CRSError(f"{path}: {f'{field}: ' if field else ''}{first['msg']}; {remedy}") from None


def write_arrays(path: Path, arrays: dict[str, np.ndarray], about: dict) -> None:
    """Write named arrays with a JSON description and a sha256 in the file's header; same content, same bytes."""
    # One metadata key only: safetensors writes several keys in no fixed order, so bytes would differ between runs.
    about_json = json.dumps({**about, "sha256": _sum(arrays)}, sort_keys=True, ensure_ascii=False)
    write_bytes(path, save({k: np.ascontiguousarray(v) for k, v in arrays.items()}, metadata={"about": about_json}))


def _sum(arrays: dict[str, np.ndarray]) -> str:
    parts = [(k, str(v.dtype), v.shape, hashlib.sha256(v.tobytes()).hexdigest()) for k, v in sorted(arrays.items())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """What `write_arrays` wrote, as (arrays, description). Raises `CRSError` for a missing or damaged file, and for
    numbers that are not finite."""
    if not path.is_file():
        raise CRSError(f"{path}: no such file; check the path, or build it again.")
    try:
        with safe_open(str(path), framework="np") as f:
            arrays, about = {k: f.get_tensor(k) for k in f.keys()}, json.loads((f.metadata() or {}).get("about", "{}"))
        if about.pop("sha256", None) not in (None, _sum(arrays)):
            raise ValueError("the sha256 is another than when it was written")
        if bad := [k for k, v in arrays.items() if v.dtype.kind == "f" and not np.isfinite(v).all()]:
            raise ValueError(f"{bad[0]!r} holds numbers that are not finite")
    except (SafetensorError, ValueError, OSError, AttributeError, TypeError, RecursionError) as e:
        raise CRSError(f"{path}: damaged safetensors file ({e}); fetch or build it again.") from None
    return arrays, about
