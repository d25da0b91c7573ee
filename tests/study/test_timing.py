"""Two ways are timed in turns, and the first turn does not count."""

import pytest

from crs_lite.study import timing


def test_a_pair_is_timed_in_turns_and_the_first_turn_is_left_out():
    order, ours, stock = [], iter([99.0, 1.0, 3.0, 2.0]), iter([99.0, 8.0, 5.0, 6.0])
    found = timing.pair(lambda: order.append("o") or next(ours), lambda: order.append("s") or next(stock), 3)
    assert found == (2.0, 6.0) and "".join(order) == "os" * 4
    assert timing.Row("x", *found).ratio == pytest.approx(3.0)


def test_work_is_timed(monkeypatch):
    now = [5.0]
    monkeypatch.setattr(timing, "perf_counter", lambda: now[0])
    assert timing.timed(lambda: now.__setitem__(0, now[0] + 7))() == 7.0
    ticks = iter([1.0, 1.5])
    assert timing.timed(lambda: None, lambda: next(ticks))() == 0.5
