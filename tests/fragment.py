"""A reader of HTML fragments: are all elements closed, and which controls stand inside a label?"""

import re
from html.parser import HTMLParser

EMPTY = {"input", "circle", "path", "g"}


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.stack, self.controls = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in EMPTY:
            self.stack.append(tag)
        if tag == "input":
            self.controls.append((dict(attrs), "label" in self.stack))

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.stack.pop() == tag


def stands_alone(html: str) -> None:
    """Tags are closed, controls have labels, nothing is fetched, and there is something to see without JavaScript."""
    reader = Reader()
    reader.feed(html)
    assert not reader.stack
    assert reader.controls and all(inside for _, inside in reader.controls)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|\bimport\b|fetch|src=|href=", html)
    assert html.count("<script") == html.count("</script>") == 1 and "<noscript>" in html
