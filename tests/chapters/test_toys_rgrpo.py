"""The toys of chapter 8 hold the numbers they were given, and refuse what cannot be."""

import json
import re

import numpy as np
import pytest
from fragment import stands_alone

from crs_lite.chapters import toys_rgrpo
from crs_lite.errors import CRSError

# Two thoughts of two tokens behind a prompt of three; the second ends after one. One beam each.
PARENTS = [-1, 0, 1, 2, 2, 3, 4, 5, 4, 7, 8, 9, 10]


def mask(parents=PARENTS):
    out = np.eye(len(parents), dtype=bool)
    for i, p in enumerate(parents):
        if p >= 0:
            out[i] |= out[p]
    return out


def data(html):
    return json.loads(re.search(r"\), (\{.*\})\)</script>", html)[1])


@pytest.mark.parametrize(
    "html", [toys_rgrpo.places(3, (0, 0.01, 0.03)), toys_rgrpo.packed(mask(), 3, 2, 1)], ids=["places", "packed"]
)
def test_a_toy_is_whole_stands_alone_and_every_control_has_a_label(html):
    stands_alone(html)


def test_its_numbers_are_those_of_the_caller():
    assert data(toys_rgrpo.places(7, (0, 0.02, 0.3))) == {"place": 7, "credit": [0, 0.02, 0.3], "shared": [3] * 10}


def test_a_mask_becomes_the_column_that_each_column_continues():
    found = data(toys_rgrpo.packed(mask(), 3, 2, 1))
    assert found["parent"] == PARENTS
    # Nobody continues the second thought's second column; the last beam token is read by nobody, and still a token.
    assert [n for n, kept in enumerate(found["kept"]) if not kept] == [6]


def test_what_cannot_be_is_refused():
    for place, credit in ((0, (0, 0, 0)), (11, (0, 0, 0)), (3, (0, 0, 0.31)), (3, (-0.1, 0, 0))):
        with pytest.raises(CRSError, match="give a place from 1 to 10"):
            toys_rgrpo.places(place, credit)
    with pytest.raises(CRSError, match="does not fit a prompt of 4"):
        toys_rgrpo.packed(mask(), 4, 2, 1)
    gap = mask()
    gap[12, 1] = False  # a beam that skips a token of the prompt
    with pytest.raises(CRSError, match="column 12 sees more or less"):
        toys_rgrpo.packed(gap, 3, 2, 1)
