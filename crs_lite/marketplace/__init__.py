"""A simulated shop with a known truth: `generate` or `load` it, then ask `Truth` for its ceilings."""

from crs_lite.marketplace.truth import HIDEABLE, Truth
from crs_lite.marketplace.utility import Weights
from crs_lite.marketplace.world import (
    FROZEN_SHA256,
    LARGE_SHA256,
    N_ITEMS,
    N_USERS,
    generate,
    generate_large,
    load,
    save,
)

__all__ = [
    "FROZEN_SHA256",
    "HIDEABLE",
    "LARGE_SHA256",
    "N_ITEMS",
    "N_USERS",
    "Truth",
    "Weights",
    "generate",
    "generate_large",
    "load",
    "save",
]
