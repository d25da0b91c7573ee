"""The dial: every budget by name, single ones changed by hand."""

from dataclasses import fields

import pytest

from crs_lite.errors import CRSError
from crs_lite.profiles import PROFILES, STAND_IN, Profile, get_profile


def test_a_profile_by_name_with_single_budgets_changed():
    assert get_profile("laptop") == PROFILES["laptop"]
    changed = get_profile("smoke", rl_steps=7, arch="qwen3")
    same = {f.name for f in fields(Profile) if getattr(changed, f.name) == getattr(PROFILES["smoke"], f.name)}
    assert {f.name for f in fields(Profile)} - same == {"rl_steps", "arch"}
    with pytest.raises(CRSError, match="unknown profile 'desktop'; use one of smoke, laptop, colab, gpu"):
        get_profile("desktop")
    with pytest.raises(CRSError, match="profile 'smoke': sped=3: Unexpected keyword argument; .*profiles.py"):
        get_profile("smoke", sped=3)


def test_profiles_are_called_what_they_are_and_heads_divide_their_width():
    for name, profile in PROFILES.items():
        assert profile.name == name and profile.hidden % profile.heads == 0
        assert profile.rl_group >= 2  # an advantage needs a group
        assert profile.train_requests >= profile.distil_requests and profile.rl_beams >= 4


def test_smoke_alone_is_quick():
    assert [name for name, profile in PROFILES.items() if profile.quick] == ["smoke"]


def test_a_stand_in_takes_the_place_of_a_pretrained_backbone_only(monkeypatch, tmp_path):
    monkeypatch.setenv(STAND_IN, str(tmp_path))
    colab = get_profile("colab")
    assert (colab.backbone, colab.quick, colab.lora_rank) == (str(tmp_path), True, 4) and colab.dtype == "float16"
    assert get_profile("laptop").backbone == "tiny" and not get_profile("laptop").quick


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("rl_group", 1, "greater than or equal to 2"),
        ("rl_beams", 3, "greater than or equal to 4"),
        ("rl_steps", "ten", "a valid integer"),
        ("rl_steps", 0, "greater than or equal to 1"),
        ("rl_steps", True, "a valid integer"),
        ("rl_steps", 2.0, "a valid integer"),
        ("rl_steps", 10**30, "less than or equal to"),
        ("max_reasoning", 0, "greater than or equal to 1"),
        ("eval_batch", -1, "greater than or equal to 1"),
        ("train_requests", -5, "greater than or equal to 1"),
        ("align_context_epochs", -1, "greater than or equal to 1"),
        ("layers", 0, "greater than or equal to 1"),
        ("item_view", "titel", "'sid', 'title' or 'both'"),
        ("dtype", "fp16", "'float32', 'bfloat16' or 'float16'"),
        ("arch", "gpt", "'llama' or 'qwen3'"),
        ("teacher", "", "'hindsight' or 'foresight'"),
        ("reasoning", None, "'conclude', 'see' or 'see-count'"),
        ("backbone", "", "at least 1 character"),
        ("align_lr", "", "a valid number"),
        ("align_lr", 1e9, "less than or equal to 1"),
        ("rl_lr", 0, "greater than 0"),
        ("rl_temperature", 0, "greater than 0"),
        ("thought_temperature", float("inf"), "a finite number"),
        ("rl_kl", float("nan"), "a finite number"),
        ("rl_kl", -0.1, "greater than or equal to 0"),
        ("replay", 1.0, "less than 1"),
        ("sid_sizes", 32, "a valid tuple"),
        ("sid_sizes", (4, 4, 0), "greater than or equal to 1"),
        ("fresh_pool", 1, "a valid boolean"),
        ("sped", 3, "Unexpected keyword"),
    ],
)
def test_a_budget_that_is_not_allowed_is_named_with_its_value_and_what_is(name, value, allowed):
    with pytest.raises(CRSError) as caught:
        get_profile("smoke", **{name: value})
    said = str(caught.value)
    assert said.startswith(f"profile 'smoke': {name}={value!r}: ") and allowed in said and "\n" not in said


def test_budgets_fit_each_other():
    for changes in ({"heads": 7}, {"hidden": 63}, {"hidden": 65, "heads": 13}):
        with pytest.raises(CRSError, match="must be an even multiple of heads="):
            get_profile("smoke", **changes)
    assert get_profile("smoke", hidden=70, heads=7).heads == 7


def test_what_is_allowed_keeps_its_kind():
    """A stage's key is made from these values, so a whole number stays one, and a list is the tuple it stands for."""
    changed = get_profile("smoke", rl_kl=0, sid_sizes=[4, 5, 6], distil_requests=0)
    assert repr((changed.rl_kl, changed.sid_sizes, changed.distil_requests)) == "(0.0, (4, 5, 6), 0)"
    assert all(type(getattr(p, f.name)) is type(f.default) for p in PROFILES.values() for f in fields(p)[1:])
