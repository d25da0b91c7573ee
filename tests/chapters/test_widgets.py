"""The SID explorer holds every item once, in well-formed HTML, and opens at the item asked for."""

from html.parser import HTMLParser

import numpy as np
from toy import toy_log

from crs_lite.chapters.widgets import beam_stepper, sid_explorer
from crs_lite.decode import beam_search, force, plant
from crs_lite.sid.codes import SemanticIDs
from crs_lite.trie import Trie


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.stack, self.text, self.open = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.stack.append(tag)
        self.open += tag == "details" and "open" in dict(attrs)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_every_item_stands_once_under_its_codes():
    log = toy_log(2, 2)
    items = [log.items[0].model_copy(update={"title": 'A <b>"bold"</b> & sly title'}), *log.items[1:]]
    log = type(log)("toy", items, log.users, log.requests)
    ids = SemanticIDs.build(np.random.default_rng(0).normal(size=(24, 8)).astype(np.float32), (4, 3, 2))
    html = sid_explorer(log, ids, open_at=0)
    reader = Reader()
    reader.feed(html)
    assert not reader.stack and reader.open == 2  # the two branches above item 0
    text = "".join(reader.text)
    assert all(text.count(i.title) == 1 for i in items) and "◀" in text
    assert "<script" not in html and "http" not in html


def test_the_stepper_ends_with_the_beams_of_the_search(toy_model):
    model, codec = toy_model
    request = codec.log.split("test")[0]
    prompt = codec.prompt(request)
    html = beam_stepper(model, codec, [*prompt, codec.end_think], k=3, target=request.target)
    reader = Reader()
    reader.feed(html)
    assert not reader.stack and reader.open == 1 and html.count("<summary>") == 4
    tree = force(plant(model, [prompt], codec.pad), [[codec.end_think]], codec.pad)
    items, scores = beam_search(tree, Trie.build(codec.sid_ids), 3)
    last = html.split("<summary>")[-1]
    for item, score in zip(items[0, 0].tolist(), scores[0, 0].tolist(), strict=True):
        name = codec.sids.to_string(item).replace("<", "&lt;").replace(">", "&gt;")
        assert f"<code>{name}</code> {score:.2f}" in last
