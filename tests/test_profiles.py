"""The dial: every budget by name, single ones changed by hand."""

from dataclasses import fields

import pytest

from crs_lite.errors import CRSError
from crs_lite.profiles import PROFILES, STAND_IN, Profile, budgets, get_profile


def test_a_profile_by_name_with_single_budgets_changed():
    assert get_profile("laptop") == PROFILES["laptop"]
    changed = get_profile("smoke", rl_steps=7, arch="qwen3")
    same = {f.name for f in fields(Profile) if getattr(changed, f.name) == getattr(PROFILES["smoke"], f.name)}
    assert {f.name for f in fields(Profile)} - same == {"rl_steps", "arch"}
    with pytest.raises(CRSError, match="unknown profile 'desktop'; use one of smoke, laptop, colab, gpu"):
        get_profile("desktop")
    with pytest.raises(CRSError, match="profile 'smoke': .*'sped'.*profiles.py"):
        get_profile("smoke", sped=3)


def test_profiles_are_called_what_they_are_and_heads_divide_their_width():
    for name, profile in PROFILES.items():
        assert profile.name == name and profile.hidden % profile.heads == 0
        assert profile.rl_group >= 2  # an advantage needs a group
        assert profile.train_requests >= profile.distil_requests and profile.rl_beams >= 4


def test_smoke_alone_is_quick():
    assert [name for name, profile in PROFILES.items() if profile.quick] == ["smoke"]


def test_budgets_are_read_as_python_where_they_are_python():
    assert budgets(["rl_lr=1e-4", "arch=qwen3", "sid_sizes=(4, 4, 4)", "item_view=", "backbone=a=b"]) == {
        "rl_lr": 1e-4,
        "arch": "qwen3",
        "sid_sizes": (4, 4, 4),
        "item_view": "",
        "backbone": "a=b",
    }
    assert budgets([]) == {}


def test_budgets_are_data_not_code():
    assert budgets(["arch=__import__('os').getcwd()"]) == {"arch": "__import__('os').getcwd()"}


def test_a_stand_in_takes_the_place_of_a_pretrained_backbone_only(monkeypatch, tmp_path):
    monkeypatch.setenv(STAND_IN, str(tmp_path))
    colab = get_profile("colab")
    assert (colab.backbone, colab.quick, colab.lora_rank) == (str(tmp_path), True, 4) and colab.dtype == "float16"
    assert get_profile("laptop").backbone == "tiny" and not get_profile("laptop").quick
