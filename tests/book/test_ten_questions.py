"""The toys of the chapters, as published: really dragged, clicked and typed at; and the ten questions asked of them."""

import json
import math
from itertools import product

import numpy as np
import pytest

from crs_lite.paths import BOOK, ROOT
from crs_lite.sid import ResidualKMeans

pytestmark = [pytest.mark.browser, pytest.mark.slow]
QUESTIONS = json.loads((ROOT / "tests" / "data" / "ten_questions.json").read_text(encoding="utf-8"))
DIRECTIONS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)], dtype=np.float32)


def published(stem: str) -> str:
    """The toy as it stands in the outputs of a committed notebook."""
    cells = json.loads((BOOK / f"{stem}.ipynb").read_text(encoding="utf-8"))["cells"]
    found = [
        "".join(o["data"]["text/html"]) for c in cells for o in c.get("outputs", []) if "text/html" in o.get("data", {})
    ]
    [toy] = [html for html in found if "crs-toy" in html]
    return toy


class Toy:
    """One toy alone on a page, offline, on a phone's screen."""

    def __init__(self, browser, stem: str, width=375):
        self.faults = []
        self.context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, has_touch=True)
        self.tab = self.context.new_page()
        self.tab.on("pageerror", lambda e: self.faults.append(str(e)))
        self.tab.on("console", lambda m: m.type == "error" and self.faults.append(m.text))
        self.tab.set_content(published(stem))

    def reset(self):
        self.tab.click("[data-is=reset]")

    def press(self, slider: str, key: str, times: int = 1):
        """The keyboard alone: go to the slider, press an arrow."""
        self.tab.locator(slider).focus()
        for _ in range(times):
            self.tab.keyboard.press(key)

    def rows(self, name: str) -> list[list[str]]:
        script = "all => all.map(tr => [...tr.cells].map(td => td.textContent))"
        return self.tab.locator(f"[data-is={name}] tr").evaluate_all(script)

    def says(self) -> str:
        return self.tab.inner_text("[data-is=says]")

    def close(self):
        wide = self.tab.evaluate("document.scrollingElement.scrollWidth")
        self.context.close()
        assert not self.faults and wide <= 375


@pytest.fixture(scope="module")
def plane(chromium):
    toy = Toy(chromium, "ch03-semantic-ids")
    yield toy
    toy.close()


@pytest.fixture(scope="module")
def trie(chromium):
    toy = Toy(chromium, "ch04-tries-and-beams")
    yield toy
    toy.close()


def name(toy) -> str:
    return toy.says().split(" is called ")[1]


def put(toy, x: int, y: int):
    """The item on a point, by the sliders."""
    for axis, value in (("x", x), ("y", y)):
        toy.tab.locator(f"[data-is={axis}]").fill(str(value))


def slider(first: str, second: str | None = None) -> str:
    return f"input[data-first={first}]" + (f"[data-second={second}]" if second else ":not([data-second])")


def tidy(toy, on: bool):
    toy.tab.locator("[data-is=tidy]").set_checked(on)


def width(toy, k: int):
    toy.tab.check(f"input[type=radio][value='{k}']")


def listed(toy) -> list[str]:
    return [item for _, item, *_ in toy.rows("list") if item != "–"]


# -- the arithmetic -----------------------------------------------------------------------------------


def test_every_name_in_the_plane_is_that_of_residual_k_means(plane):
    kmeans = ResidualKMeans((4, 4, 4))
    kmeans.codebooks = [8 * DIRECTIONS, 4 * DIRECTIONS, 2 * DIRECTIONS]
    points = np.array(list(product(range(-14, 15, 4), range(-13, 15, 5))), dtype=np.float32)
    codes = kmeans.encode(points)
    for (x, y), (a, b, c) in zip(points.astype(int).tolist(), codes.tolist(), strict=True):
        put(plane, x, y)
        assert name(plane) == f"<a_{a}><b_{b}><c_{c}>"
        left = np.array([x, y]) - kmeans.reconstruct(np.array([[a, b, c]]))[0]
        assert float(plane.rows("layers")[2][3]) == (left**2).sum()


def beams(tree: dict, k: int, renormalised: bool) -> list[tuple[str, float]]:
    """By the book: {first: (p, {second: (p, item)})} -> the k best (item, score)."""
    total = sum(p for p, _ in tree.values()) if renormalised else 1
    first = sorted(((p / total, below) for p, below in tree.values()), key=lambda beam: -beam[0])[:k]
    grown = []
    for score, below in first:
        room = sum(p for p, _ in below.values()) if renormalised else 1
        grown += [(item, score * p / room) for p, item in below.values()]
    return sorted(grown, key=lambda beam: -beam[1])[:k]


@pytest.mark.parametrize("p", [{}, {"a_0": 0.35}, {"a_2": 0.1}], ids=["start", "less a_0", "less a_2"])
def test_the_lists_of_the_trie_are_those_of_a_beam_search(trie, p):
    trie.reset()
    tree = {
        "a_0": (0.5, {"b_0": (0.4, "red mug"), "b_1": (0.2, "blue mug")}),
        "a_1": (0.3, {"b_0": (0.9, "lamp")}),
        "a_2": (0.2, {"b_1": (0.1, "chair")}),
    }
    for first, value in p.items():
        tree[first] = (value, tree[first][1])
        trie.tab.locator(slider(first)).fill(str(value))
    for k, renormalised in product((1, 2, 3, 4), (False, True)):
        width(trie, k)
        tidy(trie, renormalised)
        shown = [row for row in trie.rows("list") if row[1] != "–"]
        expected = beams(tree, k, renormalised)
        assert [row[1] for row in shown] == [item for item, _ in expected]
        assert [float(row[2]) for row in shown] == pytest.approx([score for _, score in expected], abs=6e-4)
        logs = [math.log(score) for _, score in expected]
        assert [float(row[3].replace("−", "-")) for row in shown] == pytest.approx(logs, abs=6e-3)


# -- hands --------------------------------------------------------------------------------------------


def test_the_star_is_dragged_and_a_tap_moves_it(plane):
    plane.reset()
    assert plane.says().startswith("(11, 5)")
    box = plane.tab.locator(".crs-star").bounding_box()
    ground = plane.tab.locator("[data-is=plane]").bounding_box()
    unit = ground["width"] / 30
    plane.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    plane.tab.mouse.down()
    to = ground["x"] + unit * (15 - 8), ground["y"] + unit * (15 - 3)
    plane.tab.mouse.move(*to, steps=5)
    assert plane.says() == "(−8, 3) is called <a_2><b_1><c_3>"
    plane.tab.mouse.up()
    plane.tab.mouse.move(ground["x"] + 5, ground["y"] + 5)
    assert plane.says().startswith("(−8, 3)")  # let go
    plane.tab.touchscreen.tap(ground["x"] + unit * (15 + 2), ground["y"] + unit * (15 + 9))
    assert plane.says().startswith("(2, −9)")
    plane.tab.locator("[data-is=x]").fill("14")
    plane.press("[data-is=x]", "ArrowRight", 3)
    assert plane.says().startswith("(14, −9)")  # the edge
    plane.reset()
    assert plane.says() == "(11, 5) is called <a_0><b_1><c_0>"


def test_probabilities_behind_a_node_are_one_at_most(trie):
    trie.reset()
    trie.press(slider("a_0"), "End")
    assert trie.tab.locator(f"{slider('a_0')} + output").inner_text() == "0.50"  # 0.3 and 0.2 are taken
    trie.press(slider("a_0", "b_0"), "End")
    assert trie.tab.locator(f"{slider('a_0', 'b_0')} + output").inner_text() == "0.80"
    trie.press(slider("a_1"), "Home")
    trie.press(slider("a_0"), "End")
    assert trie.tab.locator(f"{slider('a_0')} + output").inner_text() == "0.80"
    for range_ in trie.tab.locator("input[type=range]").all():
        range_.focus()
        trie.tab.keyboard.press("Home")
    width(trie, 4)
    for on in (True, False):
        tidy(trie, on)
        assert "NaN" not in trie.tab.inner_text(".crs-toy")
    trie.reset()
    assert listed(trie) == ["red mug"] and trie.says().endswith("This search has lost it.")


def heard(toy) -> dict[str, str]:
    """Slider, by the name that a screen reader gives it -> what it reads as its value."""
    sliders = toy.tab.get_by_role("slider").all()
    return {one.get_attribute("aria-label"): one.get_attribute("aria-valuetext") for one in sliders}


def drag(toy, which: str, to: float):
    """The thumb by mouse from where it stands to a share of the slider's length."""
    thumb, box = toy.tab.locator(which), toy.tab.locator(which).bounding_box()
    x = [box["x"] + 8 + (box["width"] - 16) * share for share in (float(thumb.input_value()), to)]
    toy.tab.mouse.move(x[0], box["y"] + box["height"] / 2)
    toy.tab.mouse.down()
    toy.tab.mouse.move(x[1], box["y"] + box["height"] / 2, steps=6)
    toy.tab.mouse.up()


def test_what_a_slider_does_to_its_siblings_is_said_aloud(trie):
    trie.reset()
    assert trie.tab.get_attribute("[data-is=says]", "aria-live") == "polite"
    before = heard(trie)
    assert before["P(a_0)"] == "0.50; 0.00 left behind the root" and len(before) == 7
    assert before["P(b_1 | a_0)"] == "0.20; 0.40 left behind a_0"
    drag(trie, slider("a_2"), 0)
    after = heard(trie)
    assert after["P(a_2)"] == "0.00; 0.20 left behind the root"
    assert after["P(a_0)"] == "0.50; 0.20 left behind the root"  # its sibling gave way
    assert after["P(b_1 | a_0)"] == before["P(b_1 | a_0)"] and "stops" not in trie.says()
    drag(trie, slider("a_0"), 1)
    assert trie.says().startswith("P(a_0) stops at 0.70: its siblings have the rest. The model's likeliest item")
    assert heard(trie)["P(a_1)"] == "0.30; 0.00 left behind the root"
    tidy(trie, True)
    assert heard(trie)["P(b_1 | a_0)"] == "0.20, renormalised 0.33; 0.40 left behind a_0"
    trie.press(slider("a_0", "b_0"), "ArrowLeft", 4)
    assert trie.says().startswith("Renormalised: b_0 0.50, b_1 0.50. ")
    assert heard(trie)["P(b_1 | a_0)"] == "0.20, renormalised 0.50; 0.60 left behind a_0"


# -- the ten questions --------------------------------------------------------------------------------


def answers_of_the_plane(toy) -> list[str]:
    toy.reset()
    first, x = name(toy)[:5], 11
    while name(toy)[:5] == first:
        toy.press("[data-is=x]", "ArrowLeft")
        x -= 1
    put(toy, 8, 4)
    left = [row[3] for row in toy.rows("layers")]
    assert left[1] == "0"
    toy.reset()
    names = [name(toy)]
    for _ in range(14 - 5):
        toy.press("[data-is=y]", "ArrowUp")
        names.append(name(toy))
    shared = []
    for x_there in (5, 4):
        put(toy, x_there, 5)
        shared.append(next(row[3] for row in toy.rows("others") if row[0] == "B"))
    return [str(x), left[2], str(len(set(names))), ", then ".join(shared)]


def answers_of_the_trie(toy) -> list[str]:
    toy.reset()
    while "has lost it" in toy.says():
        toy.press(slider("a_0"), "ArrowLeft")
    found = toy.tab.locator(f"{slider('a_0')} + output").inner_text()
    places = {}
    for on in (True, False):
        toy.reset()
        width(toy, 4)
        tidy(toy, on)
        before = listed(toy)
        toy.press(slider("a_2", "b_1"), "ArrowRight", 18)
        places[on] = before, listed(toy)
    moved = sum(a != b for a, b in zip(*places[True], strict=True))
    rise = [order.index("chair") + 1 for order in places[False]]
    toy.reset()
    smallest = []
    for on in (False, True):
        tidy(toy, on)
        holds = []
        for k in (1, 2, 3, 4):
            width(toy, k)
            holds.append("chair" in listed(toy))
        smallest.append(holds.index(True) + 1)
    return [found, str(moved), f"from {rise[0]} to {rise[1]}", f"{smallest[0]} and {smallest[1]}"]


def test_the_questions_have_their_answers(plane, trie):
    known = {page: [q["answer"] for q in QUESTIONS if q["page"] == page] for page in {q["page"] for q in QUESTIONS}}
    assert answers_of_the_plane(plane) == known["ch03-semantic-ids"]
    assert answers_of_the_trie(trie) == known["ch04-tries-and-beams"]


def test_the_page_asks_all_ten_in_order():
    text = (BOOK / "ten-questions.md").read_text(encoding="utf-8")
    places = [text.index(f"**{n}.** {q['question']}\n") for n, q in enumerate(QUESTIONS, 1)]
    assert len(QUESTIONS) == 10 and places == sorted(places)
    for n, q in enumerate(QUESTIONS, 1):
        assert f"Answer to {n}\n:class: dropdown\n**{q['answer']}**. {q['how']}\n" in text and f"`{q['page']}`" in text
