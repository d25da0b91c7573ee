"""Who searches when and where, what the page shows, and that nothing hidden is written down."""

from datetime import UTC, datetime

import numpy as np

from crs_lite.marketplace.shoppers import DAYS, START, TRAVELLING
from crs_lite.marketplace.tables import CONSOLE_OWNERS, STYLE_GIVEN_AGE
from crs_lite.marketplace.utility import TASTES


def test_splits_and_cold_start(shop):
    log, _ = shop
    parts = {s: log.split(s) for s in ("train", "valid", "test")}
    assert len(log.items) == 1000 and len(parts["train"]) >= 12_000 and len(parts["test"]) >= 4000
    assert parts["train"][-1].time < parts["valid"][0].time and parts["valid"][-1].time < parts["test"][0].time
    past = np.array([log.n_past(r) for r in parts["test"]])
    assert (past <= 2).sum() >= 1000 and np.mean(past[past > 2] >= 8) > 0.8
    assert {datetime.fromtimestamp(r.time, UTC).month for r in parts["train"]} == set(range(1, 13))
    times = [r.time for r in log.requests]
    assert len(set(times)) == len(times) and all(t % 86400 for t in times)


def test_pages(shop):
    log, _ = shop
    for r in log.requests:
        assert 4 <= len(r.shown) == len(set(r.shown)) <= 6 and r.target in r.shown and len(r.clicked) == 1
    place = [r.shown.index(r.target) / (len(r.shown) - 1) for r in log.requests]
    assert abs(np.mean(place) - 0.5) < 0.01  # random order


def test_log_holds_no_hidden_taste(shop):
    log, truth = shop
    assert {key for u in log.users for key in u.profile} == {"gender", "age", "city", "phone", "laptop", "console"}
    hidden = {v for t in truth.tastes for v in t.values()}
    assert not hidden & {v for u in log.users for v in u.profile.values()}
    # Queries are drawn without looking at the shopper: stated styles agree with tastes only by chance.
    stated = [r for r in log.requests if r.query.split()[0] in TASTES["style"]]
    agree = [r.query.split()[0] == truth.tastes[r.user]["style"] for r in stated]
    assert len(agree) > 500 and abs(np.mean(agree) - 0.25) < 0.08


def test_times_places_and_profiles_of_the_frozen_shop(shop):
    """Growing traffic, an eighth of it away from home, consoles for six in ten."""
    log, _ = shop
    days = np.array([(r.time - START) // 86400 for r in log.requests])
    assert days.min() >= 0 and days.max() < DAYS
    thirds = np.histogram(days, bins=3, range=(0, DAYS))[0]
    assert thirds[0] < thirds[1] < thirds[2]
    away = np.mean([r.place != log.users[r.user].profile["city"] for r in log.requests])
    assert abs(away - TRAVELLING) < 0.02
    owners = np.mean(["console" in u.profile for u in log.users])
    assert abs(owners - CONSOLE_OWNERS) < 4 * np.sqrt(CONSOLE_OWNERS * (1 - CONSOLE_OWNERS) / len(log.users))


def test_everybody_gets_a_taste_that_fits_the_stated_prior(shop):
    log, truth = shop
    for age, style in STYLE_GIVEN_AGE.items():
        tastes = [t["style"] for u, t in zip(log.users, truth.tastes, strict=True) if u.profile["age"] == age]
        share = np.array([tastes.count(s) / len(tastes) for s in TASTES["style"]])
        assert np.abs(share - style).max() < 4 * np.sqrt(0.25 / len(tastes))
