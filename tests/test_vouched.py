"""A folder's files are those that were written, to the bit."""

import hashlib

import pytest

from crs_lite import vouched
from crs_lite.errors import CRSError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "deep" / "er" / "b").write_bytes(bytes(3_000_000))
    (tmp_path / "manifest.json").write_bytes(b"{}")
    return tmp_path


def test_every_file_has_its_sha256(folder):
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc", FIPS 180-2
    sums = vouched.sums(folder, but=["manifest.json"])
    assert sums == {"a": known, "deep/er/b": hashlib.sha256(bytes(3_000_000)).hexdigest()}
    vouched.check(folder, sums, "x.")
    (folder / "more").write_text("is none of our business")
    vouched.check(folder, sums, "x.")


def test_the_first_file_that_is_another_is_named(folder):
    sums = vouched.sums(folder)
    (folder / "deep" / "er" / "b").write_bytes(bytes(2_999_999) + b"\x80")
    with pytest.raises(CRSError, match="er.b: damaged or replaced.*; make it again"):
        vouched.check(folder, sums, "make it again.")
    (folder / "a").unlink()
    with pytest.raises(CRSError, match="a: this file is gone; make it again"):
        vouched.check(folder, sums, "make it again.")
    (folder / "a").symlink_to("a")
    with pytest.raises(CRSError, match="a: cannot be read .*; make it again"):
        vouched.check(folder, sums, "make it again.")
