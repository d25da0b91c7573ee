"""Shared fixtures, and which tests go first and together.

Markers: `slow` (more than about two seconds; `slow(minutes=3)` on a file says how long, and such files go first),
`browser` (needs Chromium), `notebook` (runs notebooks). Tests of one file run in one process, those that share the
toy study in another. Fixtures import what they need when they are asked: torch takes seconds, and the process that
only hands out tests to others can do without.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import json
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    minutes: dict[str, float] = {}
    for item in items:
        if "toy_study" in item.fixturenames:
            item.add_marker(pytest.mark.slow(minutes=1))
            item.add_marker(pytest.mark.xdist_group("toy study"))
        elif not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(HERE))))
        slow = item.get_closest_marker("slow")
        group = item.get_closest_marker("xdist_group").args[0]
        minutes[group] = max(minutes.get(group, 0.0), slow.kwargs.get("minutes", 0.0) if slow else 0.0)
    # The order inside a group stays; two workers end together when the longest groups begin.
    items.sort(key=lambda item: -minutes[item.get_closest_marker("xdist_group").args[0]])


# -- shops ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shop():
    """-> (log, truth): the frozen shop as it is shipped; `test_world` makes it anew and compares."""
    from crs_lite import marketplace, paths

    return marketplace.load(paths.SHIPPED)


@pytest.fixture(scope="session")
def small_shop():
    """-> (log, truth): another world of 100 items, so that slow ways of computing are bearable."""
    from crs_lite import marketplace

    return marketplace.generate(seed=5, n_items=100, n_users=150)


# -- models of random weights: enough to compare one way of computing with another --------------------


@pytest.fixture(params=["llama", "qwen3"])
def random_model(request):
    """A 2-layer model over 80 tokens whose random weights are large enough to make peaked distributions."""
    import torch

    from crs_lite.model.backbones import tiny_model
    from crs_lite.profiles import get_profile

    torch.manual_seed(0)
    model = tiny_model(get_profile("smoke", arch=request.param, hidden=32, heads=2, ffn=64), 80).eval()
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


@pytest.fixture(scope="module")
def toy_model():
    """-> (model in float64, codec): a random tiny model over a toy shop of 12 shoppers."""
    from toy import toy_log

    from crs_lite.model import backbones
    from crs_lite.profiles import get_profile
    from crs_lite.sid.codes import SemanticIDs
    from crs_lite.tasks import Codec

    log = toy_log(12, 8)
    x = np.random.default_rng(0).normal(size=(24, 16)).astype(np.float32)
    sids = SemanticIDs.build(x, (4, 4, 4), seed=0)
    profile = get_profile("smoke", hidden=32, layers=2, vocab=400)
    texts = [json.dumps(r.model_dump(), default=str) for r in log.requests[:50]]
    model, tokenizer = backbones.build(profile, texts, sids.tokens(), seed=0)
    return model.double().eval(), Codec(log, sids, tokenizer, {"budget": 200, "max_skipped": 0})


@pytest.fixture(scope="module")
def toy_kit():
    """-> (log, sids, model, codec): a fresh model of width 64 over a toy shop of 30 shoppers, for one file to train."""
    from toy import toy_log

    from crs_lite.context import item_context
    from crs_lite.model import backbones
    from crs_lite.profiles import get_profile
    from crs_lite.sid.codes import SemanticIDs
    from crs_lite.tasks import Codec

    log = toy_log()
    sids = SemanticIDs.build(np.random.default_rng(0).normal(size=(24, 8)).astype(np.float32), (4, 4, 4), seed=0)
    texts = [item_context(i) for i in log.items] * 3
    profile = get_profile("smoke", hidden=64, layers=2, vocab=500)
    model, tokenizer = backbones.build(profile, texts, sids.tokens(), seed=0)
    return log, sids, model, Codec(log, sids, tokenizer, {"budget": 400})


# -- runs on the toy shop -------------------------------------------------------------------------------


@pytest.fixture
def make(tmp_path, monkeypatch):
    """-> a function name -> the prepared toy run in the folder of that name; `changes` are budgets of its profile."""
    from toy_runs import opener

    return opener(tmp_path, monkeypatch)


@pytest.fixture
def job(make, tmp_path):
    """-> a function experiment -> Job on the toy shop; all experiments share the run folder `shared`."""
    from crs_lite.study.experiments.runner import Job

    def of(name: str, only: str = "*", run: str = "shared", truth=None, **changes) -> Job:
        def open_run(seed: int):
            return make(run, truth, **changes)

        return Job(name, 0, open_run, tmp_path / "rows", f"experiment {name}", "abc", only)

    return of


@pytest.fixture
def hollow(monkeypatch):
    """Stages are named and keyed as ever, but nothing is trained in them: every question about what an experiment
    would do is answered at once. -> the names of the stages that were made, in order."""
    from toy_runs import make_hollow

    return make_hollow(monkeypatch)


@pytest.fixture(scope="session")
def _toy_study(tmp_path_factory):
    from toy_runs import ToyStudy

    with pytest.MonkeyPatch.context() as patch:
        return ToyStudy.run(tmp_path_factory.mktemp("toy-study"), patch)


@pytest.fixture
def toy_study(_toy_study, monkeypatch):
    """The pipeline and every experiment, really run on the toy shop, once (see `ToyStudy`); what was patched to make it
    is patched again."""
    _toy_study.patch(_toy_study.root, monkeypatch)
    return _toy_study


# -- pages ----------------------------------------------------------------------------------------------

QUIET = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --disable-quic"
)


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium that asks for nothing by itself. (One a file: while playwright runs, its process can run no
    other event loop, and notebooks need one.)"""
    import shutil

    from playwright.sync_api import sync_playwright

    where = shutil.which("chromium")
    if where is None:
        pytest.fail("The page tests need Chromium: apt-get install chromium")
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=where, args=QUIET.split())
        yield browser
        browser.close()
