"""The enumerable shop in JavaScript is the one in Python, number for number: run in Chromium, compared to 1e-6."""

import numpy as np
import pytest

from crs_lite.enumerable import exact
from crs_lite.enumerable.training import Settings, Trainer
from crs_lite.paths import BOOK

pytestmark = [pytest.mark.browser, pytest.mark.slow]
RUN = """(settings) => {
    const trainer = new EnumerableShop.Trainer(settings), rows = []
    while (!trainer.finished) rows.push(trainer.step() ?? {})
    return { theta: [...trainer.theta], rows, measure: EnumerableShop.measure(trainer.theta) }
}"""


@pytest.fixture(scope="module")
def tab(chromium):
    page = chromium.new_page()
    page.add_script_tag(path=str(BOOK / "live" / "enumerable.js"))
    return page


SHORT = {"align": 40, "distil": 40, "rl": 20}


@pytest.mark.parametrize(
    "settings",
    [
        SHORT,
        SHORT | {"seed": 7, "bias": 0.5, "judge": "drawn", "group": 4, "temperature": 1.3, "kl": 0.2},
        SHORT
        | {"seed": 3, "judge": "first", "credit": 0.0, "rounds": 2, "consolidate": 10, "only_wrong": True, "bias": 1.0},
        SHORT | {"seed": 5, "judge": "list", "credit": 0.03, "facts": 0.15, "batch": 4},
    ],
    ids=["as it comes", "drawn", "loop", "credit"],
)
def test_the_same_run_in_both_languages(tab, settings):
    theirs = tab.evaluate(RUN, settings)
    trainer = Trainer(Settings(**settings))
    rows = list(trainer.run())
    assert np.abs(np.array(theirs["theta"]) - trainer.policy.theta).max() < 1e-6
    assert len(rows) == len(theirs["rows"])
    for ours, row in zip(rows, theirs["rows"], strict=True):
        assert row == pytest.approx(ours, abs=1e-6)
    assert theirs["measure"] == pytest.approx(exact.measure(trainer.policy), abs=1e-6)
