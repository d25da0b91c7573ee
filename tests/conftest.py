"""Small shared models: random weights are enough to compare one way of computing with another."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import pytest
import torch

from crs_lite.model.backbones import tiny_model
from crs_lite.profiles import get_profile


@pytest.fixture(params=["llama", "qwen3"])
def random_model(request):
    """A 2-layer model over 80 tokens whose random weights are large enough to make peaked distributions."""
    torch.manual_seed(0)
    profile = get_profile("smoke", arch=request.param, hidden=32, heads=2, ffn=64)
    model = tiny_model(profile, 80).eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim > 1:
                p.mul_(8)
    return model


@pytest.fixture
def catalogue_ids():
    """Token ids (60, 4) of a small catalogue: layers use tokens 40-45, 46-51, 52-57, 58-69."""
    rng = np.random.default_rng(0)
    codes = np.unique(rng.integers(0, [6, 6, 6, 12], size=(200, 4)), axis=0)
    return rng.permutation(codes)[:60] + np.array([40, 46, 52, 58])


LONGEST_FIRST = ("test_notebooks", "test_handouts", "test_pages", "test_pipeline", "test_smollm2", "test_trl")


def pytest_collection_modifyitems(items):
    """Files that take minutes go first, so that two workers end together; the order inside a file stays."""
    items.sort(
        key=lambda item: next((n for n, name in enumerate(LONGEST_FIRST) if item.path.stem == name), len(LONGEST_FIRST))
    )
