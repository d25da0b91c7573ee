"""The two toys of chapter 8, as published: really dragged, clicked, pointed at and typed at, offline, on a phone."""

import json

import numpy as np
import pytest

from crs_lite.paths import BOOK
from crs_lite.rewards import rank_weights

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WEIGHTS = rank_weights(10)


def published(name: str) -> str:
    """The toy as it stands in the outputs of the committed notebook."""
    cells = json.loads((BOOK / "ch08-r-grpo.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [o.get("data", {}).get("text/html", "") for c in cells for o in c.get("outputs", [])]
    [toy] = [html for html in map("".join, outputs) if f'data-toy="{name}"' in html]
    return toy


class Toy:
    """One toy alone on a page."""

    def __init__(self, browser, name: str):
        self.faults = []
        self.context = browser.new_context(viewport={"width": 375, "height": 900}, offline=True, has_touch=True)
        self.tab = self.context.new_page()
        self.tab.on("pageerror", lambda e: self.faults.append(str(e)))
        self.tab.on("console", lambda m: m.type == "error" and self.faults.append(m.text))
        self.tab.set_content(published(name))

    def find(self, name: str):
        return self.tab.locator(f"[data-is={name}]")

    def says(self) -> str:
        return self.find("says").inner_text()

    def rows(self, name: str) -> list[list[str]]:
        rows = self.tab.locator(f"[data-is={name}] tr")
        return rows.evaluate_all("all => all.map(tr => [...tr.cells].map(c => c.textContent))")

    def close(self):
        wide = self.tab.evaluate("document.scrollingElement.scrollWidth")
        self.context.close()
        assert not self.faults and wide <= 375


@pytest.fixture(scope="module")
def places(chromium):
    toy = Toy(chromium, "places")
    yield toy
    toy.close()


@pytest.fixture(scope="module")
def packed(chromium):
    toy = Toy(chromium, "packed")
    yield toy
    toy.close()


def worths(toy) -> list[float]:
    return [float(row[1]) for row in toy.rows("worth")]


def drag_to(toy, place: int):
    """The star by mouse to the middle of a place; the drawing is 320 wide, ten places of 30 begin at 10."""
    star, ground = toy.tab.locator(".crs-star").bounding_box(), toy.find("lists").bounding_box()
    toy.tab.mouse.move(star["x"] + star["width"] / 2, star["y"] + star["height"] / 2)
    toy.tab.mouse.down()
    x = ground["x"] + ground["width"] / 320 * (10 + 30 * (place - 0.5))
    toy.tab.mouse.move(x, ground["y"] + 40, steps=4)
    toy.tab.mouse.up()


# -- ten places and three credits -----------------------------------------------------------------


def test_the_start_is_the_worked_example_and_the_sums_are_those_of_the_reward(places):
    places.tab.click("[data-is=reset]")
    assert places.says().startswith("The bound holds")
    bound = WEIGHTS[-1] / WEIGHTS.sum()
    assert worths(places) == pytest.approx([0.5, 0.03 * WEIGHTS.sum(), 0.03, bound], abs=6e-5)
    for place in (1, 2, 6, 10):
        drag_to(places, place)
        assert worths(places)[0] == pytest.approx(WEIGHTS[place - 1], abs=6e-5)
        assert places.find("place").input_value() == str(place)
    drag_to(places, 14)
    assert places.find("place").input_value() == "10"  # the edge


def test_credits_slide_by_key_until_the_bound_breaks(places):
    places.tab.click("[data-is=reset]")
    drag_to(places, 10)
    places.find("c3").focus()
    at = []
    while places.says().startswith("The bound holds") and len(at) < 40:
        places.tab.keyboard.press("ArrowRight")
        at.append(places.find("c3").input_value())
    assert at == ["0.04", "0.05", "0.06", "0.07"]  # one step above 0.0636
    assert places.says().startswith("Broken")
    drag_to(places, 9)
    assert places.says().startswith("Broken") == (0.07 * WEIGHTS.sum() > WEIGHTS[8])
    drag_to(places, 1)
    assert places.says().startswith("The largest credit is above the bound")
    box = places.find("lists").bounding_box()
    places.tab.touchscreen.tap(box["x"] + box["width"] / 320 * (10 + 30 * 9.5), box["y"] + 80)
    assert places.says().startswith("Broken")  # a tap moves the star, too


def test_a_near_miss_is_changed_by_pressing_it(places):
    places.tab.click("[data-is=reset]")
    buttons = places.tab.locator("[data-near]")
    assert buttons.count() == 10
    buttons.nth(0).click()  # from three shared tokens to none
    assert worths(places)[1] == pytest.approx(0.03 * WEIGHTS[1:].sum(), abs=6e-5)
    buttons.nth(0).focus()
    for _ in range(2):
        places.tab.keyboard.press("Enter")
    assert worths(places)[1] == pytest.approx(0.01 + 0.03 * WEIGHTS[1:].sum(), abs=6e-5)
    assert "shares 2 tokens" in buttons.nth(0).get_attribute("aria-label")


# -- the packed row -------------------------------------------------------------------------------


def columns(html: str) -> dict:
    return json.loads(html[html.rindex("), {") + 3 : html.rindex(")</script>")])


def test_what_a_column_sees_is_counted_from_the_chain(packed):
    data = columns(published("packed"))
    parent, total = np.array(data["parent"]), len(data["parent"])
    steps = (total - data["prompt"] - data["levels"] * data["group"] * data["beams"]) // data["group"]
    for column in (0, 5, data["prompt"] - 1, data["prompt"], data["prompt"] + 8 * 20 + 3, total - 200, total - 1):
        chain, at = [], column
        while at >= 0:
            chain.append(at)
            at = parent[at]
        packed.find("column").fill(str(column + 1))
        assert f"It sees {len(chain)} of the {column + 1} columns so far." in packed.says()
        seen = {row[0]: int(row[1]) for row in packed.rows("parts")}
        assert sum(seen.values()) == len(chain)
        assert seen["the prompt"] == min(column + 1, data["prompt"])
        assert seen["the other thoughts"] == seen["beams of the others"] == 0
    assert seen["beams of its own thought"] == data["levels"] and 5 < seen["its own thought"] <= steps


def test_pointing_tapping_keys_and_buttons_choose_a_column(packed):
    packed.find("row").scroll_into_view_if_needed()
    cells = packed.tab.locator("[data-is=row] rect")
    for n in (3, 300, cells.count() - 1):
        box = cells.nth(n).bounding_box()
        packed.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert packed.says().startswith(f"Column {n + 1}:")
    box = cells.nth(40).bounding_box()
    packed.tab.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert packed.says().startswith("Column 41:")
    packed.find("column").focus()
    packed.tab.keyboard.press("ArrowRight")
    assert packed.says().startswith("Column 42: token 42 of the prompt")
    for kind, words in (("thought", "token 10 of thought 4"), ("beam", "beam 1 of thought 4, token 3 of its ID")):
        packed.tab.click(f"[data-go={kind}]")
        assert words in packed.says()


def test_a_place_behind_a_short_thought_is_seen_by_nobody(packed):
    data = columns(published("packed"))
    free = data["kept"].index(False)
    assert free not in data["parent"]
    packed.find("column").fill(str(free + 1))
    assert "nobody sees it" in packed.says()
