"""A file is whole or what it was before; what cannot be read is named, to the line or field."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from safetensors.numpy import save

from crs_lite import files
from crs_lite.errors import CRSError

TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


class Reader(BaseModel):
    """A small file of a fixed form."""

    name: str
    sizes: list[int] = []


# -- whole or not at all --------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["while it is written", "before it takes its place"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, moment):
    path = tmp_path / "a.json"
    files.write_json(path, {"x": 1})

    def fails(*_):
        raise OSError("disk full")

    if moment == "while it is written":
        monkeypatch.setattr(files.Path, "write_bytes", fails)
    else:
        monkeypatch.setattr(files.os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        files.write_json(path, {"x": 2})
    assert path.read_text(encoding="utf-8") == '{"x": 1}\n' and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_touches_nothing(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, [1])
    with pytest.raises(TypeError):
        files.write_json(path, {"x": object()})
    for bad in (float("nan"), float("inf")):
        with pytest.raises(CRSError, match="a.json: not written, .* numbers that are not finite"):
            files.write_json(path, {"x": [bad]})
    with pytest.raises(UnicodeEncodeError):
        files.write_text(path, "half a \ud83d pair")
    assert files.read_json(path, list, "x.") == [1] and list(tmp_path.iterdir()) == [path]


def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "big.txt"
    files.write_text(path, "old")
    code = (
        "import os, signal, sys; from pathlib import Path; from crs_lite import files\n"
        "files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_text(Path(sys.argv[1]), 'new' * 100_000)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], env={**os.environ, "PYTHONPATH": "."})
    assert done.returncode == -signal.SIGKILL and path.read_text(encoding="utf-8") == "old"
    files.write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "new"


def test_folders_are_made_and_equal_content_has_equal_bytes(tmp_path):
    for name in ("a/b/one.json", "two.json"):
        files.write_json(tmp_path / name, {"b": 1, "a": "é"}, sort_keys=True)
    one, two = (tmp_path / name for name in ("a/b/one.json", "two.json"))
    assert one.read_bytes() == two.read_bytes() == '{"a": "é", "b": 1}\n'.encode()


# -- JSON ------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(value=VALUES)
def test_json_comes_back(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "v.json"
    files.write_json(path, value)
    assert files.read_json(path, object, "x.") == value
    rows = [{"v": value}, {"w": [value]}]
    files.write_json_lines(path, rows)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n")] == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "a.json: no such file; get it."),
        (b'{"name": "x",\n "sizes": [1, }', "a.json, line 2: damaged (Expecting value); get it."),
        (b"", "a.json, line 1: damaged (Expecting value); get it."),
        (b'{"name": "x", "sizes": [1, "two"]}', "a.json: sizes.1: Input should be a valid integer"),
        (b'{"sizes": []}', "a.json: name: Field required; get it."),
        (b"[1]", "a.json: Input should be"),
        (b'"\xff"', "a.json: damaged ('utf-8' codec can't decode byte 0xff"),
        (b"[" * 200_000, "a.json: damaged ("),
        (b"9" * 5000, "a.json: damaged ("),
        (b'{"name": NaN}', "a.json: damaged ("),
        (b'{"name": -Infinity}', "a.json: damaged ("),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CRSError) as caught:
        files.read_json(path, Reader, "get it.")
    said = str(caught.value)
    assert said.startswith(str(path)) and message in said and said.endswith("get it.") and "\n" not in said


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(CRSError, match="cannot be read .*; get it."):
        files.read_json(tmp_path, Reader, "get it.")


def test_a_byte_order_mark_is_no_damage(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"name": "x"}')
    assert files.read_json(tmp_path / "a.json", Reader, "x.") == Reader(name="x")


# -- arrays ----------------------------------------------------------------------------------------------


def test_arrays_come_back_with_their_description_and_the_same_bytes(tmp_path):
    arrays = {"x": np.arange(6, dtype=np.int32).reshape(2, 3).T, "y": np.array([0.5], dtype=np.float16)}
    about = {"model": "é", "sha": "1"}
    for name in ("a", "b"):
        files.write_arrays(tmp_path / name, arrays, about)
    found, said = files.read_arrays(tmp_path / "a")
    assert said == about and set(found) == {"x", "y"}
    assert (found["x"] == arrays["x"]).all() and found["y"].dtype == np.float16
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_damaged_arrays_are_named(tmp_path):
    with pytest.raises(CRSError, match="none: no such file"):
        files.read_arrays(tmp_path / "none")
    files.write_arrays(tmp_path / "a", {"x": np.zeros(100)}, {})
    whole = (tmp_path / "a").read_bytes()
    for damaged in (whole[:-10], b"not tensors", b""):
        (tmp_path / "a").write_bytes(damaged)
        with pytest.raises(CRSError, match="a: damaged safetensors file"):
            files.read_arrays(tmp_path / "a")


def test_arrays_vouch_for_themselves(tmp_path):
    """Flipped bits leave a file that reads well; a description written by an older version has no sha256."""
    path = tmp_path / "a"
    files.write_arrays(path, {"x": np.linspace(0, 1, 50, dtype=np.float32), "n": np.arange(4)}, {"of": "me"})
    whole = path.read_bytes()
    for at in (len(whole) - 1, len(whole) - 150):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(CRSError, match="a: damaged safetensors file .the sha256 is another"):
            files.read_arrays(path)
    path.write_bytes(save({"x": np.ones(3)}, metadata={"about": '{"of": "me"}'}))
    assert files.read_arrays(path)[1] == {"of": "me"}
    for about in ("[1]", "null", "{", '"x"', "[" * 100_000):
        path.write_bytes(save({"x": np.ones(3)}, metadata={"about": about}))
        with pytest.raises(CRSError, match="a: damaged safetensors file"):
            files.read_arrays(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_not_read(tmp_path, bad):
    files.write_arrays(tmp_path / "a", {"fine": np.ones(3), "odd": np.array([0, bad], dtype=np.float16)}, {})
    with pytest.raises(CRSError, match="'odd' holds numbers that are not finite"):
        files.read_arrays(tmp_path / "a")
