"""The tables that make sums over tastes cheap, against the utility written out item by item."""

from datetime import UTC, datetime

import numpy as np
import pytest
from literal_shop import slow_band, slow_clicks, slow_fit, slow_liking, slow_prior

from crs_lite.errors import CRSError
from crs_lite.marketplace import Weights
from crs_lite.marketplace.shoppers import rows_of
from crs_lite.marketplace.tables import AGES, band
from crs_lite.marketplace.utility import N_THETA, TASTES, THETAS, Utility, theta_index, theta_prior


def test_priors_over_tastes():
    for age in AGES:
        np.testing.assert_allclose(theta_prior(age), slow_prior(age))
        assert np.isclose(theta_prior(age).sum(), 1)


def test_a_taste_and_its_row():
    assert len(THETAS) == N_THETA == 4 * 3 * 6 * 4
    for row in (0, 1, 100, 287):
        taste = {name: values[v] for (name, values), v in zip(TASTES.items(), THETAS[row], strict=True)}
        assert theta_index(taste) == row


@pytest.mark.parametrize("weights", [Weights(), Weights(style=1.5, weather=0.5, popularity=0.1, wanted=2.0)])
def test_utility_is_the_sum_of_its_parts(small_shop, weights):
    """Up to a constant: popularity is taken from the mean of the catalogue."""
    log, truth = small_shop
    utility = Utility(log.items, weights)
    for request in log.requests[::97]:
        profile, taste = log.users[request.user].profile, truth.tastes[request.user]
        slow = [slow_fit(i, request.query, slow_band(request), profile, weights) for i in log.items]
        slow = np.array(slow) + [slow_liking(i, taste, weights) for i in log.items]
        rows = rows_of(utility, profile, request.place, request.time)
        fast = utility.utility(request.query, rows, theta_index(taste))
        np.testing.assert_allclose(fast - fast[0], slow - slow[0], atol=1e-9)


def test_sums_over_the_catalogue_for_all_tastes_at_once(small_shop):
    log, _ = small_shop
    utility = Utility(log.items)
    for request in log.requests[5::211]:
        profile = log.users[request.user].profile
        rows = rows_of(utility, profile, request.place, request.time)
        log_e, z = utility.base(request.query)
        month = datetime.fromtimestamp(request.time, UTC).month
        clicks = slow_clicks(log, request.query, band(request.place, month), profile)  # (288, N)
        fast = np.exp(log_e + utility.log_g[rows].max(0)[utility.context] + utility.liked[:, utility.cell])
        np.testing.assert_allclose(fast / z[rows].sum(0)[:, None], clicks, rtol=1e-9)


def test_a_query_of_another_shop_is_refused(small_shop):
    with pytest.raises(CRSError, match="'blue suede' is none of this marketplace's"):
        Utility(small_shop[0].items).base("blue suede")
