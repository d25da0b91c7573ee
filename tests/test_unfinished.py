"""A state goes into a file and comes back as it was; what does not fit is not used."""

import numpy as np
import pytest
import torch

from crs_lite import unfinished
from crs_lite.errors import CRSError
from crs_lite.unfinished import Keeper


def parts(seed):
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1 * (seed + 1))
    for _ in range(seed + 1):
        model(torch.rand(4, 3)).sum().backward()
        optimizer.step()
    order, sampling = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    return {"model": model, "optimizer": optimizer, "order": order, "sampling": sampling}


def draws(of):
    own = of["order"].random(), torch.rand(1, generator=of["sampling"]).item()
    return *own, torch.rand(1).item(), np.random.rand()


@pytest.fixture
def saved(tmp_path):
    kept = parts(3)
    Keeper(tmp_path).keep(kept, {"at": [7, 0.1]})
    return kept


def test_everything_comes_back(tmp_path, saved):
    want = draws(saved)
    other = parts(1)
    assert Keeper(tmp_path).load(other) == {"at": [7, 0.1]}
    assert draws(other) == want
    for of in (saved, other):  # one more step shows that weights and moments are the same
        of["optimizer"].zero_grad()
        of["model"](torch.ones(4, 3)).sum().backward()
        of["optimizer"].step()
    assert torch.equal(saved["model"].weight, other["model"].weight)
    assert saved["optimizer"].param_groups[0]["lr"] == other["optimizer"].param_groups[0]["lr"]


def test_nothing_saved_is_nothing_loaded(tmp_path):
    fresh = parts(1)
    before = fresh["model"].weight.clone()
    assert Keeper(tmp_path / "none").load(fresh) is None and torch.equal(before, fresh["model"].weight)


def test_it_saves_when_it_is_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(unfinished, "perf_counter", lambda: now[0])
    keeper, kept, seen = Keeper(tmp_path), parts(0), []
    for step in range(200):
        now[0] += 1
        keeper.save(kept, step)
        seen.append(Keeper(tmp_path).load(parts(0)))
    assert [n for n, (a, b) in enumerate(zip([None, *seen], seen, strict=False)) if a != b] == [59, 119, 179]


def test_another_model_s_state_is_thrown_away(tmp_path, saved, capsys):
    assert Keeper(tmp_path).load({"model": torch.nn.Linear(3, 4)}) is None
    assert "of another model and thrown away" in capsys.readouterr().out and not tmp_path.exists()


def test_another_number_of_processes_is_named(tmp_path, saved, monkeypatch):
    monkeypatch.setattr(unfinished, "n_processes", lambda: 2)
    monkeypatch.setattr(unfinished, "as_first", lambda value: value)
    with pytest.raises(CRSError, match="left by 1 processes, not 2"):
        Keeper(tmp_path).load(parts(0))


def test_a_save_that_fails_leaves_the_one_before(tmp_path, saved, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(unfinished, "save_file", full)
    with pytest.raises(OSError):
        Keeper(tmp_path).keep(parts(0), "new")
    assert Keeper(tmp_path).load(parts(0)) == {"at": [7, 0.1]}


def test_weights_that_are_not_finite_are_not_kept(tmp_path, saved):
    other = parts(0)
    with torch.no_grad():
        other["model"].bias[1] = torch.inf
    with pytest.raises(CRSError, match="the weights bias are not finite"):
        Keeper(tmp_path).keep(other, "new")
    assert Keeper(tmp_path).load(parts(0)) == {"at": [7, 0.1]}


def test_a_loss_that_is_not_finite_is_named_with_its_step():
    unfinished.finite(torch.tensor(1.0), "LTRGR", 3)
    for bad in (torch.nan, torch.inf):
        with pytest.raises(CRSError, match="LTRGR step 3: the loss is not finite"):
            unfinished.finite(torch.tensor(bad), "LTRGR", 3)
