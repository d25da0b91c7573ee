"""The protocol says what the code does."""

import re
from dataclasses import asdict

from crs_lite import profiles
from crs_lite.marketplace import FROZEN_SHA256
from crs_lite.paths import BOOK
from crs_lite.study.experiments.shared import ARMS

PROTOCOL = (BOOK / "protocol.md").read_text(encoding="utf-8")


def test_the_protocol_freezes_the_world_and_the_budgets_that_the_code_has():
    assert FROZEN_SHA256 in PROTOCOL
    budgets = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|$", PROTOCOL, flags=re.M))
    assert len(budgets) >= 12
    first = asdict(profiles.get_profile("first"))
    assert {name: float(value) for name, value in budgets.items()} == {name: first[name] for name in budgets}
    assert all(f"`{arm}`" in PROTOCOL for arm in ARMS)
