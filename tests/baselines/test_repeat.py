"""What the shopper clicked before, the most recent first."""

import numpy as np
from toy import toy_log

from crs_lite.baselines.repeat import RepeatLast
from crs_lite.evaluate import evaluate

LOG = toy_log(12, 8)


def test_repeat_last_by_hand():
    ranker = RepeatLast(LOG)
    request = next(r for r in LOG.split("test") if len({i for p in LOG.history(r, 10) for i in p.clicked}) >= 3)
    clicked = [i for past in LOG.history(request, 10) for i in past.clicked]
    recent = list(dict.fromkeys(reversed(clicked)))
    counts = np.bincount([r.target for r in LOG.split("train")], minlength=24)
    others = sorted((i for i in range(24) if i not in recent), key=lambda i: (-counts[i], i))
    assert ranker.rank([request], 24)[0].tolist() == recent + others
    evaluate(ranker, LOG, LOG.split("test"))  # keeps the contract of a ranker
