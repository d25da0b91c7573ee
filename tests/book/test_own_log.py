"""The page on one's own log says what the readers do."""

import re
import shlex

import pytest
import real_logs

from crs_lite.__main__ import parser
from crs_lite.adapters.registry import FORMATS, LogSource
from crs_lite.paths import BOOK

PAGE = (BOOK / "own-log.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m crs_lite (.+)$", PAGE, re.M)


def test_every_real_format_has_its_line():
    assert set(re.findall(r"`--log (\w+)`", PAGE)) == {name for name, form in FORMATS.items() if form.fields}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_typed(command):
    args = vars(parser().parse_args(shlex.split(command)))
    if args["log"] != "help":
        assert all(args[option] for option in FORMATS[args["log"]].needed)


def test_the_three_tables_are_a_log(tmp_path, capsys):
    """The tables of the page, the one search repeated at many times."""
    [block] = re.findall(r"^items.csv.+?(?=^```)", PAGE, re.M | re.S)
    lines = [line[15:] for line in block.splitlines()]
    items, searches, users = lines[0:2], lines[2:4], lines[4:6]
    items += [f"{key},Blue tape,,tape," for key in ("A3", "A9")]
    searches += [searches[1].replace("2025-01-31", f"2025-02-{day:02}") for day in range(1, 20)]
    opened = LogSource(
        "mylog", real_logs.write(tmp_path, {"items": items, "searches": searches, "users": users})
    ).open()
    first = opened.log.requests[0]
    assert opened.log.users[0].profile == {"city": "Oslo", "age": "34"} and first.query == "tape"
    assert [opened.log.items[i].key for i in first.skipped] == ["A1", "A9"] and first.strength == (3,)
    assert all(not of["unread"] and not of["skipped"] for of in opened.about["account"]["files"].values())


def test_the_account_on_the_page_is_the_one_that_is_printed(tmp_path, capsys):
    LogSource("ubi", real_logs.write(tmp_path, real_logs.ubi())).open()
    assert "```text\n" + capsys.readouterr().out + "```" in PAGE
