"""The toy of chapter 7, as published: rewards are dragged and typed, and the advantages are those of the package."""

import json

import numpy as np
import pytest

from crs_lite.paths import BOOK
from crs_lite.rewards import group_advantage

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ONE_HIT = [1, 0, 0, 0, 0, 0, 0, 0]


@pytest.fixture(scope="module")
def tab(chromium):
    """The toy alone, offline, on a phone's screen."""
    cells = json.loads((BOOK / "ch07-grpo.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [o.get("data", {}) for c in cells for o in c.get("outputs", [])]
    [toy] = [html for d in outputs if "crs-toy" in (html := "".join(d.get("text/html", [])))]
    faults = []
    context = chromium.new_context(viewport={"width": 375, "height": 900}, offline=True, has_touch=True)
    tab = context.new_page()
    tab.on("pageerror", lambda e: faults.append(str(e)))
    tab.on("console", lambda m: m.type == "error" and faults.append(m.text))
    tab.set_content(toy)
    yield tab
    wide = tab.evaluate("document.scrollingElement.scrollWidth")
    context.close()
    assert not faults and wide <= 375


def column(tab, n: int) -> list[float]:
    script = "(all, n) => all.map(tr => tr.cells[n].textContent)"
    cells = tab.locator("[data-is=group] tr").evaluate_all(script, n)
    return [float(cell.replace("−", "-")) for cell in cells]


def says(tab) -> str:
    return tab.inner_text("[data-is=says]")


def put(tab, rewards):
    for n, reward in enumerate(rewards, 1):
        tab.locator(f"[data-is=o{n}]").fill(str(reward))


@pytest.mark.parametrize("divide", [True, False])
@pytest.mark.parametrize("rewards", [ONE_HIT, [1.3, 0.2, 0.3, 0.3, 1.3, 0.25, 0, 0.3], [0.2, *[0.3] * 7], [0.3] * 8])
def test_advantages_are_those_of_the_package(tab, rewards, divide):
    tab.click("[data-is=reset]")
    put(tab, rewards)
    tab.locator("[data-is=divide]").set_checked(divide)
    expected, informative = group_advantage(np.array([rewards], dtype=float), scale=divide)
    assert column(tab, 1) == pytest.approx(rewards) and column(tab, 3) == pytest.approx(expected[0], abs=0.0051)
    assert column(tab, 2) == pytest.approx(np.array(rewards) - np.mean(rewards), abs=0.0051)
    assert ("silent" in says(tab)) == (not informative[0])
    bars = tab.locator("[data-is=drawing] rect").evaluate_all("all => all.map(r => Number(r.getAttribute('width')))")
    assert bars == pytest.approx(38 * np.abs(expected[0]), abs=0.01)


def test_a_reward_is_dragged_and_moved_by_keyboard(tab):
    tab.click("[data-is=reset]")
    assert column(tab, 1) == ONE_HIT and "Pushed up most: o1, by 2.47" in says(tab)
    slider = tab.locator("[data-is=o2]")
    box = slider.bounding_box()
    y = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + 6, y)  # the thumb stands at zero
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] - 2, y, steps=6)
    tab.mouse.up()
    assert column(tab, 1)[:3] == [1, 1.3, 0] and "Pushed up most: o2" in says(tab)
    slider.focus()
    for _ in range(6):
        tab.keyboard.press("ArrowLeft")
    assert column(tab, 1)[:2] == [1, 1] and "o1, o2" in says(tab)
    tab.keyboard.press("Home")
    tab.keyboard.press("Tab")  # on to the next slider
    tab.keyboard.press("End")
    assert column(tab, 1)[:3] == [1, 0, 1.3]


def test_the_buttons_set_what_they_say_and_a_tenth_is_as_loud_as_a_hit(tab):
    tab.click("[data-is=reset]")
    loud = column(tab, 3)[0]
    tab.click("text=a lone tenth")
    assert column(tab, 3)[0] == loud
    tab.locator("[data-is=divide]").uncheck()
    assert column(tab, 3)[0] == pytest.approx(0.09, abs=0.001)
    tab.click("text=all equal")
    assert set(column(tab, 3)) == {0} and says(tab) == "All rewards are equal. The group is silent: it teaches nothing."
    tab.click("[data-is=reset]")
    assert tab.locator("[data-is=divide]").is_checked() and column(tab, 1) == ONE_HIT
