"""Every page in Debian's Chromium: local, quiet, readable on a phone and in the dark; and the notebooks behind it."""

import re
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from crs_lite.site import build

pytestmark = [pytest.mark.browser, pytest.mark.slow(minutes=3)]

LOCAL = ("file:", "data:", "blob:", "about:")
FACTS = """async () => {
    if (window.MathJax && MathJax.startup) await MathJax.startup.promise
    const fileName = /\\.(png|svg|jpe?g|gif)$/
    return {
        width: document.scrollingElement.scrollWidth,
        named: [...document.querySelectorAll('script[src],link[href],img[src],iframe[src],source[src]')]
            .map(e => e.src || e.href),
        noAlt: [...document.images].filter(i => !i.alt.trim() || fileName.test(i.alt.trim()))
            .map(i => i.src.slice(-60)),
        broken: [...document.images].filter(i => !i.naturalWidth).map(i => i.src.slice(-60)),
        math: document.querySelectorAll('.math').length,
        typeset: document.querySelectorAll('.math mjx-container').length,
        mathErrors: document.querySelectorAll('mjx-merror').length,
        ids: [...document.querySelectorAll('[id]')].map(e => e.id),
        links: [...document.links].map(a => a.href),
    }
}"""
OPENED = """() => {
    const stuck = []
    for (const box of document.querySelectorAll('.admonition.dropdown')) {
        const before = box.classList.contains('toggle-hidden')
        box.querySelector('.admonition-title').click()
        const closed = box.classList.contains('toggle-hidden')
        if (!before || closed) stuck.push('dropdown: ' + box.textContent.trim().slice(0, 40))
    }
    for (const box of document.querySelectorAll('details')) {
        const before = box.open
        box.querySelector('summary').click()
        if (box.open === before) stuck.push('details: ' + box.textContent.trim().slice(0, 40))
    }
    return stuck
}"""
PRINTED = """() => [...document.querySelectorAll('.bd-sidebar-primary, .bd-sidebar-secondary, .bd-header')]
    .filter(e => e.offsetParent !== null).map(e => e.className)"""
COLOURS = """() => {
    const page = getComputedStyle(document.body), code = document.querySelector('.bd-article')
    return [page.backgroundColor, getComputedStyle(code).color].map(c => c.match(/[\\d.]+/g).slice(0, 3).map(Number))
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The rendered book, strictly built from the committed notebooks: its folder."""
    report = build.build_book("smoke", tmp_path_factory.mktemp("build"), run_notebooks=False)
    assert report.ok, build.main_summary(report)
    return report.index.parent


def visit(browser, page: Path, width=1280, scheme="light"):
    """-> (facts of the page, faults of it): what it requested, said on the console, how it was laid out, what opens
    when it is clicked, and what is left of it on paper."""
    faults = []
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    tab = context.new_page()
    tab.on("request", lambda r: r.url.startswith(LOCAL) or faults.append(f"requests {r.url}"))
    tab.on("websocket", lambda w: faults.append(f"opens {w.url}"))
    tab.on("console", lambda m: m.type == "error" and faults.append(f"console: {m.text}"))
    tab.on("pageerror", lambda e: faults.append(f"script: {e}"))
    context.route(re.compile("^https?:"), lambda route: route.abort())
    tab.goto(page.as_uri())
    facts = tab.evaluate(FACTS)
    faults += [f"does not open: {text}" for text in tab.evaluate(OPENED)]
    if tab.query_selector(".bd-article"):
        ground, ink = map(luminance, tab.evaluate(COLOURS))
        if (ground > ink) != (scheme == "light") or (max(ground, ink) + 0.05) / (
            min(ground, ink) + 0.05
        ) < 7:  # WCAG 2, AAA
            faults.append(f"text of luminance {ink:.2f} on {ground:.2f} in the {scheme} scheme")
    tab.emulate_media(media="print")
    faults += [f"on paper: {name}" for name in tab.evaluate(PRINTED)]
    context.close()
    faults += [f"names {url}" for url in facts["named"] if not url.startswith(LOCAL)]
    faults += [f"no alt text: {src}" for src in facts["noAlt"]] + [f"broken image: {src}" for src in facts["broken"]]
    if facts["width"] > width:
        faults.append(f"{facts['width']} px wide on a screen of {width}")
    if facts["typeset"] < facts["math"] or facts["mathErrors"]:
        faults.append(f"{facts['typeset']} of {facts['math']} formulas typeset, {facts['mathErrors']} with errors")
    return facts, faults


def pages_of(site):
    """Every page but the front door, which only forwards to the preface."""
    return [p for p in sorted(site.rglob("*.html")) if p != site / "index.html" and "_static" not in p.parts]


def test_every_page_is_local_quiet_and_fits_a_phone_and_every_link_leads_somewhere(site, chromium):
    listed = {p.stem for p in build.notebooks()} | {"intro", "how-to-use", "references"}
    assert listed <= {p.stem for p in pages_of(site)}
    faults, ids, links, formulas = {}, {}, {}, 0
    for page in pages_of(site):
        facts, faults[page] = visit(chromium, page)
        faults[page] += visit(chromium, page, width=375, scheme="dark")[1]
        ids[page], links[page], formulas = set(facts["ids"]), facts["links"], formulas + facts["math"]
    for page, hrefs in links.items():
        for href in filter(lambda h: h.startswith("file:"), hrefs):
            path, fragment = urldefrag(href)
            target = Path(unquote(path.removeprefix("file://")).split("?")[0])
            if not target.is_file():
                faults[page].append(f"dead link {href}")
            elif fragment and target in ids and unquote(fragment) not in ids[target]:
                faults[page].append(f"dead anchor {href}")
    assert not {str(page.relative_to(site)): f for page, f in faults.items() if f}
    assert formulas > 0


def test_the_front_door_leads_to_the_preface(site):
    target = re.search(r'url=([^"]+)"', (site / "index.html").read_text(encoding="utf-8"))[1]
    assert (site / target).is_file() and target == "book/intro.html"


def test_the_checks_above_notice_what_they_are_for(chromium, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        '<img src="https://example.invalid/x.png" alt="far away"><div style="width: 900px">wide</div>'
        '<img alt="images/x.png" src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">'
        '<script>console.error("ouch"); throw Error("bang")</script><span class="math">\\(x\\)</span>'
        '<div class="admonition dropdown"><p class="admonition-title">Why?</p></div><div class="bd-header">menu</div>'
        '<div class="bd-article" style="color: #999; background: white">pale</div>',
        encoding="utf-8",
    )
    faults = "\n".join(visit(chromium, page, width=375)[1])
    words = "requests https:|names https:|console: ouch|script: bang|no alt text|broken image|px wide|0 of 1 formulas|"
    words += "does not open: dropdown: Why|on paper: bd-header|text of luminance"
    for word in words.split("|"):
        assert word in faults


def luminance(rgb):
    """Relative luminance of an sRGB colour, 0..1 (WCAG 2)."""
    r, g, b = (c / 255 / 12.92 if c / 255 <= 0.03928 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_the_search_finds_a_word_without_a_server(site, chromium):
    tab = chromium.new_page()
    tab.goto((site / "search.html").as_uri() + "?q=trie")
    tab.wait_for_selector("#search-results li a")
    assert any("ch04" in a.get_attribute("href") for a in tab.query_selector_all("#search-results li a"))
    tab.close()


def test_the_footer_names_both_licences(site):
    for page in site.glob("book/*.html"):
        footer = page.read_text(encoding="utf-8").split("<footer", 1)[1]
        assert "Apache License 2.0" in footer and "creativecommons.org/licenses/by/4.0" in footer
