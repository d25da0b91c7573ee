"""Longer commands, called as the command line calls them (what `draft` writes is tested with `study.drafted`)."""

import re

import pytest

from crs_lite import commands, paths
from crs_lite.__main__ import parser
from crs_lite.errors import CRSError


def test_hours_tells_what_two_pages_tell(capsys):
    assert commands.hours(parser().parse_args(["hours"])) == 0
    core, t4 = re.split(r"(?m)^(?=\| stage )", capsys.readouterr().out)
    for said, page in ((core, "engine"), (t4, "instructors")):
        assert said.strip() and said.strip() in (paths.BOOK / f"{page}.md").read_text(encoding="utf-8")


def test_a_draft_without_its_teacher_touches_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    with pytest.raises(CRSError, match="gone"):
        commands.draft(parser().parse_args(["draft", "--teacher", str(tmp_path / "gone")]))
    assert not list(tmp_path.iterdir())
