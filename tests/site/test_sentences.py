"""The page of everything the program can say: made from the code, never stale, and what is said is on it."""

import ast
import io
import re
from contextlib import redirect_stderr

import numpy as np
import pytest
import yaml

from crs_lite import __main__, files, vouched
from crs_lite.adapters.registry import LogSource
from crs_lite.arguments import to_the_end
from crs_lite.errors import CRSError
from crs_lite.evaluate import score
from crs_lite.paths import ROOT
from crs_lite.profiles import get_profile
from crs_lite.site import sentences
from crs_lite.study import recorded

SAID = [text for of in sentences.sentences().values() for text in of]
PATTERNS = [re.compile(".*?".join(map(re.escape, re.split("‹[^›]*›", text))) + r"\.?", re.S) for text in SAID]


def test_the_page_is_what_the_code_says_today():
    page = sentences.PAGE.read_text(encoding="utf-8")
    shown = page.split("<!-- sentences:begin -->\n")[1].split("<!-- sentences:end -->")[0]
    assert shown == sentences.page_block(), "run `python -m crs_lite sentences`"
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    back = next(p for p in parts if p["caption"] == "Back matter")
    assert {"file": "book/when-something-goes-wrong"} in back["chapters"]


def test_every_error_of_the_code_is_on_it():
    """Counted by another way: the first words of every error, as they stand in the source."""
    for path in (ROOT / "crs_lite").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "CRSError":
                pieces = [
                    n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant) and len(str(n.value)) > 12
                ]
                longest = max(pieces, key=len, default="").split("{")[0]
                assert any(longest.strip() in text for text in SAID), (path.name, longest)


def said(do) -> str:
    try:
        do()
    except CRSError as e:
        return str(e)
    pytest.fail("nothing was wrong")


def test_what_is_said_is_on_the_page(tmp_path):
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    (tmp_path / "arms").mkdir()
    (tmp_path / "arms" / "x-seed0.json").write_text('{"schema": 1}', encoding="utf-8")
    for do in (
        lambda: files.read_json(tmp_path / "none", dict, "make it."),
        lambda: files.read_json(tmp_path / "a.json", dict, "make it."),
        lambda: files.read_arrays(tmp_path / "a.json"),
        lambda: vouched.check(tmp_path, {"a.json": "x"}, "make it."),
        lambda: get_profile("moon"),
        lambda: get_profile("smoke", layers=0),
        lambda: LogSource("ubi").open(),
        lambda: recorded.read(tmp_path / "arms" / "x-seed0.json"),
        lambda: score(np.array([])),
    ):
        message = said(do)
        assert any(p.fullmatch(message) for p in PATTERNS), message


@pytest.mark.parametrize(
    "words", [["run", "--seed", "x"], ["runn"], ["run", "--set", "layers"], ["ledger", "--rows", "/nowhere"]]
)
def test_what_a_command_says_is_on_the_page(words):
    with redirect_stderr(io.StringIO()) as err, pytest.raises(SystemExit) as ended:
        raise SystemExit(__main__.main(words))
    message = err.getvalue().strip().removeprefix("error: ")
    assert ended.value.code == 2 and any(p.fullmatch(message) for p in PATTERNS), message


def test_what_ends_a_command_early_is_on_the_page(capsys):
    for error in (
        KeyboardInterrupt(),
        MemoryError(),
        OSError(28, "No space left", "/x"),
        PermissionError(13, "no", "/x"),
    ):

        def command(error=error):
            raise error

        to_the_end(command)
        message = capsys.readouterr().err.strip().removeprefix("error: ")
        assert any(p.fullmatch(message) for p in PATTERNS), message


def test_signs_of_markdown_stand_for_themselves_and_gaps_in_italics():
    assert sentences._plain("a_b `c` <d> ‹file›") == r"a\_b \`c\` \<d\> *file*"
