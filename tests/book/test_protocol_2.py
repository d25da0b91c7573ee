"""The second protocol says what the code does."""

import re
from dataclasses import asdict

from crs_lite.marketplace import LARGE_SHA256
from crs_lite.paths import BOOK
from crs_lite.profiles import get_profile
from crs_lite.study.experiments.levers import GUESSES, VARIANTS

PROTOCOL = (BOOK / "protocol-2.md").read_text(encoding="utf-8")


def test_the_log_and_the_budgets_are_those_of_the_code():
    assert LARGE_SHA256 in PROTOCOL
    budgets = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|$", PROTOCOL, flags=re.M))
    assert len(budgets) >= 8
    long, first = asdict(get_profile("long")), asdict(get_profile("first"))
    assert {name: float(value) for name, value in budgets.items()} == {name: long[name] for name in budgets}
    changed = {name for name in long if long[name] != first[name]} - {
        "name",
        "minutes",
        "log",
        "distil_requests",
        "fresh_pool",
    }
    assert changed <= set(budgets)  # what is not in the table is as in `first`
    assert long["distil_requests"] == 0 and long["fresh_pool"]  # all of them; requests nobody else sees


def test_the_levers_move_one_at_a_time():
    assert f"{GUESSES:,} of the model's own guesses" in PROTOCOL
    middle = VARIANTS["see-count"]
    for name, how in VARIANTS.items():
        assert sum(how[k] != middle[k] for k in middle) == (name != "see-count"), name
