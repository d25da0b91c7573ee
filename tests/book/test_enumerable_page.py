"""The enumerable shop in the reader's browser: it trains there, to the numbers of Python, and anyone can use it."""

import json
import re
import time
from html import unescape

import pytest
from single_page import render_alone

from crs_lite.enumerable import exact, groups
from crs_lite.enumerable.demonstrations import ARMS, LOOP, MEASURED, TARGETS
from crs_lite.enumerable.shop import TWO_TASTES, name
from crs_lite.enumerable.training import Settings, Trainer
from crs_lite.paths import BOOK, ENUMERABLE
from crs_lite.study import results

pytestmark = [pytest.mark.browser, pytest.mark.slow(minutes=0.7)]
RECORDED = results.load(ENUMERABLE)
LOCAL = ("file:", "data:", "blob:", "about:")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return render_alone("enumerable-shop", tmp_path_factory.mktemp("book"))


@pytest.fixture
def visit(chromium, page):
    """-> a function that opens the page, offline; what it asks for from elsewhere or says on the console is a fault."""
    contexts, faults = [], []

    def open_page(width=1280, script=True, **settings):
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, offline=True, java_script_enabled=script, **settings
        )
        contexts.append(context)
        tab = context.new_page()
        tab.on("request", lambda r: r.url.startswith(LOCAL) or faults.append(r.url))
        tab.on("console", lambda m: m.type in ("error", "warning") and faults.append(m.text))
        tab.on("pageerror", lambda e: faults.append(str(e)))
        tab.goto(page.as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def wait(tab) -> str:
    """Until the run has ended: what the page says then."""
    tab.wait_for_function(
        "document.getElementById('shop-status').textContent.startsWith('Done')", timeout=60_000
    )  # milliseconds
    return tab.inner_text("#shop-status")


def slide(tab, **values):
    """Move sliders as a hand does: the value, and the events that follow it."""
    for which, value in values.items():
        tab.locator(f"#shop-{which}").fill(str(value))
        tab.locator(f"#shop-{which}").blur()


def count_draws(tab):
    tab.evaluate("""() => { self.draws = 0; new MutationObserver(() => { self.draws += 1 })
        .observe(document.getElementById('shop-table'), { childList: true }) }""")


def python_run(**settings) -> Trainer:
    trainer = Trainer(Settings(**settings))
    list(trainer.run())
    return trainer


def numbers_of(tab) -> dict:
    return tab.evaluate("() => ({ theta: [...shopPage.run.trainer.theta], last: shopPage.run.rows.at(-1) })")


def test_it_trains_to_the_end_in_less_than_a_minute_to_the_numbers_of_python(visit):
    tab = visit()
    began = time.perf_counter()
    tab.click("#shop-go")
    said = wait(tab)
    assert time.perf_counter() - began < 60
    here, trainer = numbers_of(tab), python_run()
    assert here["theta"] == pytest.approx(trainer.policy.theta.tolist(), abs=1e-6)
    measured = exact.measure(trainer.policy)
    assert {k: here["last"][k] for k in measured} == pytest.approx(measured, abs=1e-6)
    s, score = exact.sums(trainer.policy, TWO_TASTES), exact.scores(trainer.policy, TWO_TASTES)
    for target in TARGETS:
        for judge in ARMS:
            noise = groups.group_noise(*groups.outcomes(s, target, judge), score, Settings().group)
            assert here["last"][f"{judge} {target}"] == pytest.approx(noise.groups_needed, rel=1e-6)

    # What is shown is what was computed: the table, the legends, the pictures' words.
    ends = RECORDED["stages"]
    shown = tab.locator("#shop-table tr").evaluate_all("rows => rows.map(r => [...r.children].map(c => c.textContent))")
    assert [row[0] for row in shown] == list(MEASURED.values())
    for key, row in zip(MEASURED, shown, strict=True):
        digits = 2 if key == "entropy" else 3
        assert row[1:] == [f"{ends[stage][key]:.{digits}f}" for stage in ("align", "distil", "rl")] + [""]
    assert f"{measured['one']:.3f}" in said and f"{measured['merged']:.3f}" in said
    label = tab.locator("#shop-quality > svg").get_attribute("aria-label")
    assert f"to {measured['merged']:.3f}; one thought from" in label and f"to {measured['one']:.3f};" in label
    for figure, lines in (("quality", 3), ("entropy", 1), ("words", 3), ("noise", 3)):
        points = tab.locator(f"#shop-{figure} polyline:not(.shop-line-before)").evaluate_all(
            "all => all.map(line => line.points.numberOfItems)"
        )
        assert points == [len(trainer.plan) // 5 + 1] * lines

    # One request: two tastes, the truth beside the model's shares, and the thought that commits.
    first = tab.locator("#shop-items tr").first.locator("th, td").all_inner_texts()
    assert [first[0], *(float(x) for x in first[1:])] == [
        "lamp Alba plain", pytest.approx(0.378), pytest.approx(s.items[s.greedy, 0], abs=6e-4),
        pytest.approx(s.merged[0], abs=6e-4),
    ]  # fmt: skip
    tab.select_option("#shop-context", "7")
    assert tab.locator("#shop-items tr").count() == 7 and tab.locator("#shop-thoughts tr").count() == 6
    for text in tab.locator("#shop-noise option").all_inner_texts():
        tab.select_option("#shop-click", text)
    assert tab.locator("#shop-noise option").all_inner_texts() == [name(i) for i in TARGETS]


def test_every_slider_reaches_the_run_and_the_run_before_stays_in_grey(visit):
    tab = visit()
    slide(tab, rl=0)
    tab.click("#shop-go")
    wait(tab)
    assert tab.locator("#shop-quality .shop-line-before").first.evaluate("line => line.points.numberOfItems") == 0
    settings = {
        "bias": 0.3,
        "seed": 7,
        "rl": 50,
        "group": 4,
        "temperature": 1.3,
        "kl": 0.1,
        "credit": 0.03,
        "facts": 0.15,
    }
    slide(tab, **settings)
    assert tab.inner_text("#shop-group-is") == "4" and "50 of RL" in tab.inner_text("#shop-status")
    assert tab.locator("#shop-quality .shop-line-before").first.evaluate("line => line.points.numberOfItems") == 71
    tab.click("#shop-go")
    wait(tab)
    here, trainer = numbers_of(tab), python_run(**settings)
    assert here["theta"] == pytest.approx(trainer.policy.theta.tolist(), abs=1e-6)
    measured = exact.measure(trainer.policy)
    assert {k: here["last"][k] for k in measured} == pytest.approx(measured, abs=1e-6)


def test_pause_holds_and_goes_on_and_another_setting_starts_anew(visit):
    tab = visit()
    slide(tab, rl=50)
    count_draws(tab)
    tab.click("#shop-go")
    tab.wait_for_function("shopPage.run.trainer.done > 60")
    assert tab.evaluate("self.draws") > 10
    tab.click("text=Pause")
    done = tab.evaluate("shopPage.run.trainer.done")
    assert f"Paused at step {done} of 400" in tab.inner_text("#shop-status")
    tab.wait_for_timeout(250)
    assert tab.evaluate("shopPage.run.trainer.done") == done < 400
    tab.click("text=Continue")
    tab.wait_for_function(f"shopPage.run.trainer.done > {done}")
    slide(tab, seed=5)  # while it runs: another run begins, and runs
    assert tab.evaluate("shopPage.run.trainer.settings.seed") == 5
    wait(tab)
    assert numbers_of(tab)["theta"] == pytest.approx(python_run(rl=50, seed=5).policy.theta.tolist(), abs=1e-6)
    tab.click("text=Start over")
    assert tab.evaluate("shopPage.run.trainer.done") == 0 and tab.inner_text("#shop-go") == "Train"
    slide(tab, seed=-1)
    assert "whole number" in tab.inner_text("#shop-status") and tab.locator("#shop-status.shop-fault").count() == 1
    tab.click("text=Default settings")
    assert tab.evaluate("shopPage.chosen()") == tab.evaluate("EnumerableShop.DEFAULTS")


def test_every_experiment_sets_up_what_it_says_and_runs(visit):
    tab = visit()
    text = (BOOK / "enumerable-shop.md").read_text(encoding="utf-8")
    asked = [json.loads(unescape(of)) for of in re.findall(r"data-shop='([^']*)'", text)]
    buttons = tab.get_by_role("button", name="Set it up and train")
    assert buttons.count() == len(asked) >= 6
    for n, changes in enumerate(asked):
        buttons.nth(n).press("Enter")
        tab.wait_for_function("shopPage.run.trainer.done > 0")
        loop = LOOP if changes.pop("then", "rl") == "loop" else {}
        expected = vars(Settings(**changes, **loop))
        assert tab.evaluate("shopPage.run.trainer.settings") == expected
        assert tab.evaluate("document.activeElement.id") == "shop-status"


def test_by_keyboard_alone(visit):
    tab = visit()

    def go_to(which):
        for _ in range(60):
            tab.keyboard.press("Tab")
            if tab.evaluate("document.activeElement.id") == which:
                return
        pytest.fail(f"Tab never reaches {which}")

    go_to("shop-rl")
    tab.keyboard.press("Home")
    go_to("shop-group")
    tab.keyboard.press("ArrowLeft")
    go_to("shop-judge")
    tab.keyboard.press("ArrowDown")
    go_to("shop-go")
    tab.keyboard.press("Enter")
    tab.wait_for_function("shopPage.run.trainer.done > 20")
    tab.keyboard.press("Space")
    assert tab.inner_text("#shop-status").startswith("Paused")
    tab.keyboard.press("Enter")
    wait(tab)
    settings = tab.evaluate("shopPage.run.trainer.settings")
    assert (settings["rl"], settings["group"], settings["judge"]) == (0, 7, "first")


def test_who_prefers_little_motion_sees_the_end_of_each_stage_only(visit):
    tab = visit(reduced_motion="reduce")
    slide(tab, rl=0)
    count_draws(tab)
    tab.click("#shop-go")
    wait(tab)
    assert tab.evaluate("self.draws") == 2


CONTRAST = """() => {
    const light = (rgb) => rgb.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
    const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number)
    const ground = (e) => { for (; e; e = e.parentElement) {
        const c = numbers(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c.slice(0, 3) } }
    const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    const text = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())
    const low = [...document.querySelectorAll('.shop *')].filter((e) => e.checkVisibility() && !e.disabled && text(e))
        .map((e) => { const of = getComputedStyle(e), ink = e.closest('svg') ? of.fill : of.color
            return [contrast(light(numbers(ink)), light(ground(e))), e.tagName + ' ' + e.textContent.slice(0, 30)] })
        .filter(([c]) => c < 4.5)
    const pale = [...document.querySelectorAll('.shop-legend line')]
        .map((e) => [contrast(light(numbers(getComputedStyle(e).stroke)), light(ground(e))), e.getAttribute('class')])
        .filter(([c]) => c < 3)
    return [...low, ...pale]
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_in_the_light_and_in_the_dark_everything_has_a_name(visit, scheme):
    tab = visit(width=375, color_scheme=scheme)
    shop = tab.locator("#shop")
    for role, title in (
        ("slider", "Teacher's bias"), ("spinbutton", "Seed"), ("combobox", "What follows"),
        ("slider", "Steps of RL"), ("slider", "Group size"), ("slider", "Temperature"),
        ("slider", "KL weight"), ("combobox", "Judged by"), ("slider", "Two ID tokens right"),
        ("slider", "A true fact"), ("button", "Train"), ("combobox", "clicked"),
        ("combobox", "Asked, and the shopper"), ("table", "Where it stands"), ("progressbar", "Steps done"),
    ):  # fmt: skip
        assert shop.get_by_role(role, name=title, exact=True).count() == 1, title
    assert shop.get_by_role("img").count() == 4 and shop.get_by_role("figure").count() == 4
    if scheme == "dark":  # once with numbers everywhere
        slide(tab, rl=0)
        tab.click("#shop-go")
        wait(tab)
        tab.click("#shop-anew")  # and the run before in grey, and in the table
    assert tab.evaluate("document.scrollingElement.scrollWidth") <= 375
    assert tab.evaluate(CONTRAST) == []


def test_without_javascript_the_page_tells_its_findings(visit):
    tab = visit(script=False)
    assert tab.is_hidden("#shop-form") and tab.is_hidden("#shop-live") and tab.is_visible("#shop-still")
    told = tab.inner_text("main")
    for stage in RECORDED["stages"].values():
        assert f"{stage['one']:.3f}" in told and f"{stage['merged']:.3f}" in told
    assert re.search(r"One greedy thought leads to a list that is worth 0\.\d{3}\.", told)
