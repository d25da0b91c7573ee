"""What a user can mend is said in one sentence."""

import ast

import pytest

from crs_lite.errors import CRSError
from crs_lite.paths import ROOT

RAISED = [
    (f"{path.relative_to(ROOT)}:{node.lineno}", node.exc.args[0])
    for path in sorted((ROOT / "crs_lite").rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and getattr(node.exc.func, "id", "") == "CRSError"
]


def test_it_is_a_value_error_with_a_message():
    with pytest.raises(ValueError, match="^a: wrong; mend it.$"):
        raise CRSError("a: wrong; mend it.")


def literal_end(message: ast.expr) -> str | None:
    """The last literal part of a message; None where it ends with what a variable says."""
    if isinstance(message, ast.BinOp):
        return literal_end(message.right)
    last = message.values[-1] if isinstance(message, ast.JoinedStr) else message
    return last.value if isinstance(last, ast.Constant) else None


def test_every_message_is_one_line_that_ends_in_a_full_stop():
    assert len(RAISED) > 50
    for where, message in RAISED:
        end = literal_end(message)
        assert end is None or end.endswith("."), where
        parts = [n.value for n in ast.walk(message) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        assert not any("\n" in part for part in parts), where
