"""Experiments: the protocol says what the code does; a row is written at once, whole, and never made twice."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from crs_lite import experiments, profiles
from crs_lite.errors import CRSError
from crs_lite.marketplace import FROZEN_SHA256

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = (ROOT / "book" / "protocol.md").read_text()


def test_the_protocol_freezes_the_world_and_the_budgets_that_the_code_has():
    assert FROZEN_SHA256 in PROTOCOL
    budgets = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|$", PROTOCOL, flags=re.M))
    assert len(budgets) >= 12
    laptop = asdict(profiles.get_profile("laptop"))
    assert {name: float(value) for name, value in budgets.items()} == {name: laptop[name] for name in budgets}
    assert all(f"`{arm}`" in PROTOCOL for arm in experiments.ARMS)


def test_a_damaged_or_old_row_is_named(tmp_path):
    path = tmp_path / "row.json"
    path.write_text("{ half")
    with pytest.raises(CRSError, match="row.json.*run its experiment again"):
        experiments.read(path)
    experiments.write(path, {"schema": 0, "ranks": [1, None]})
    with pytest.raises(CRSError, match="another version"):
        experiments.read(path)
    experiments.write(path, {"schema": experiments.SCHEMA, "ranks": [1, None], "text": 'é "x"'})
    assert experiments.read(path) == json.loads(path.read_text()) == {"schema": 1, "ranks": [1, None], "text": 'é "x"'}
