"""The toys are whole pieces of HTML that need nothing else, and hold the numbers they were given."""

import json
import re

import pytest
from fragment import stands_alone

from crs_lite.chapters import toys
from crs_lite.errors import CRSError

LAYERS = [[(8, 0), (0, 8)], [(4, 0), (0, 4)], [(2, 0), (0, 2)]]
TREE = {"a_0": (0.5, {"b_0": (0.4, "</script><b>mug</b>")}), "a_1": (0.5, {"b_0": (1.0, "lamp")})}


SETTINGS = {"all <equal>": [0.5, 0.5], "one": [0, 1]}


@pytest.mark.parametrize(
    "html",
    [toys.plane(LAYERS, (1, 2), {"B": (3, 4)}), toys.small_trie(TREE), toys.group([1, 0], 1e-4, SETTINGS)],
    ids=["plane", "trie", "group"],
)
def test_a_toy_is_whole_stands_alone_and_every_control_has_a_label(html):
    stands_alone(html)


def test_its_numbers_are_those_of_the_caller():
    data = json.loads(re.search(r"\), (\{.*\})\)</script>", toys.plane(LAYERS, (1, 2), {"B": (3, 4)}))[1])
    assert data == {"layers": json.loads(json.dumps(LAYERS)), "item": [1, 2], "others": {"B": [3, 4]}}
    data = json.loads(re.search(r"\), (\{.*\})\)</script>", toys.small_trie(TREE))[1])
    assert data["tree"]["a_0"] == {"p": 0.5, "below": {"b_0": {"p": 0.4, "item": "</script><b>mug</b>"}}}
    data = json.loads(re.search(r"\), (\{.*\})\)</script>", toys.group([1, 0], 1e-4, SETTINGS))[1])
    assert data == {"rewards": [1, 0], "eps": 1e-4, "settings": SETTINGS}


def test_what_cannot_be_is_refused():
    for rewards, settings in (([1], {}), ([1, 2], {}), ([1, 0], {"three": [0, 0, 0]}), ([1, 0], {"debt": [0, -1]})):
        with pytest.raises(CRSError, match="rewards between 0 and 1.3"):
            toys.group(rewards, 1e-4, settings)
    with pytest.raises(CRSError, match="2 layers"):
        toys.plane(LAYERS[:2], (0, 0), {})
    with pytest.raises(CRSError, match="behind a_0 sum to 1.10"):
        toys.small_trie({"a_0": (1.0, {"b_0": (0.7, "x"), "b_1": (0.4, "y")})})
    with pytest.raises(CRSError, match="the root"):
        toys.small_trie({"a_0": (0.7, {}), "a_1": (0.4, {})})
