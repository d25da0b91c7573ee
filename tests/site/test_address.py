"""Links lead to the checkout's own public repository, else to the one of `_config.yml`, else nowhere, and say so."""

import subprocess

import pytest

from crs_lite.errors import CRSError
from crs_lite.site.address import Address, address

CONFIG = "repository:\n  url: https://github.com/an/other/\n  branch: v9\n"


@pytest.fixture
def checkout(tmp_path):
    """-> a function that makes a checkout with this `origin` ("" for none) and this `_config.yml`."""

    def make(origin: str, config: str = CONFIG):
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        if origin:
            subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", origin], check=True)
        (tmp_path / "_config.yml").write_text(config, encoding="utf-8")
        return tmp_path

    return make


@pytest.mark.parametrize(
    "origin",
    [
        "https://github.com/a-fork/of.it",
        "https://github.com/a-fork/of.it.git",
        "git@github.com:a-fork/of.it.git",
        "ssh://git@github.com/a-fork/of.it",
    ],
)
def test_a_public_origin_comes_first(checkout, origin):
    assert address(checkout(origin)) == Address("https://github.com/a-fork/of.it", "v9")


@pytest.mark.parametrize("origin", ["", "/a/folder", "https://git.example/x/y", "https://user:secret@github.com/x/y"])
def test_any_other_is_not_shown_and_the_config_speaks(checkout, origin):
    assert address(checkout(origin)) == Address("https://github.com/an/other", "v9")


def test_a_folder_inside_another_checkout_is_not_that_checkout(checkout):
    inner = checkout("https://github.com/a-fork/of.it") / "inner"
    inner.mkdir()
    (inner / "_config.yml").write_text(CONFIG, encoding="utf-8")
    assert address(inner) == Address("https://github.com/an/other", "v9")


def test_neither_is_none_and_a_broken_config_is_named(checkout, tmp_path):
    assert address(checkout("", "title: x\n")) is None
    for config in ("{", "3", "repository: 3\n"):
        (tmp_path / "_config.yml").write_text(config, encoding="utf-8")
        with pytest.raises(CRSError, match="_config.yml: no usable repository"):
            address(tmp_path)
