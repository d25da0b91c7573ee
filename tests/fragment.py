"""A reader of HTML fragments: are all elements closed, and which controls stand inside a label?"""

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
