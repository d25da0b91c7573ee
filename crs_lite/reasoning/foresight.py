"""A teacher without hindsight: it concludes what the counted evidence predicts, and never reads the click (our choice).

The teacher of the paper, and `Teacher`, explain a click they know: nearly all of their conclusions are true of the
target, and a decoder that learns from them learns to trust conclusions. At search time conclusions are guesses. This
teacher guesses already: for every facet it states the value that some fact of the context makes likeliest, if likely
enough, whether the shopper then clicked such an item or not. The ID behind the text is the clicked item's all the same.
"""

from __future__ import annotations

import numpy as np

from crs_lite.errors import CRSError
from crs_lite.logs import SearchRequest
from crs_lite.reasoning.facets import facet_values
from crs_lite.reasoning.teacher import MOST_CLAIMS, Teacher


class Foresight(Teacher):
    """Writes as `Teacher` does, with the same planted biases where they can be planted (there is no hindsight to
    overreach with); `claims` is where they differ."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._keys = list(facet_values(self.log))
        self._of_category: dict[str | None, set[str]] = {}  # what can be said of items of a category
        for item in self.log.items:
            self._of_category.setdefault(item.category, set()).update(item.facets())

    def _biased_claims(self, request: SearchRequest) -> tuple[dict[str, str], frozenset[str]]:
        if request.split != "train":
            raise CRSError(f"request {request.id} is a {request.split} request; give a teacher training requests only.")
        rng = np.random.default_rng((self.seed, request.id, 0))
        expected = {k: self.evidence.likeliest(request, k, held_out=True) for k in self._keys}
        category = expected.get("category", (None, 0.0))[0]
        able = self._of_category.get(category, self._keys)
        sure = {k for k, (v, p) in expected.items() if v and (k == "category" or p >= self.min_support) and k in able}
        said = {k: expected[k][0] for k in [k for k in self._keys if k in sure][:MOST_CLAIMS]}
        wrong = frozenset(k for k in said if rng.random() < self.bias.prior and k != "category")
        return {k: self.prior_value[k] if k in wrong else v for k, v in said.items()}, wrong
