"""R-GRPO, GRPO, beams with a top-1 reward and a control without list reward: one start, different rewards."""

import json

import numpy as np

from crs_lite.rewards import RewardConfig
from crs_lite.study import recorded
from crs_lite.study.experiments import runner

ROWS = {"distilled", "rgrpo-0", "grpo-0", "beam_top1-0", "rgrpo-1", "grpo-1", "form-only-0"}


def configs(make, hollow) -> dict[str, dict]:
    """RL stage -> its configuration, as its manifest remembers it."""
    found = {}
    for name in hollow:
        depends = json.loads((make("shared").work.root / name / "manifest.json").read_text(encoding="utf-8"))["depends"]
        if "config" in depends:
            found[name] = {**depends["config"], "rl_seed": depends.get("rl_seed", 0), "from": depends["split"]}
    return found


def test_all_arms_branch_from_one_start_and_differ_in_arm_and_reward_alone(job, make, hollow, tmp_path):
    assert runner.run_seed(job("arms")) == len(ROWS)
    found = configs(make, hollow)
    assert len(found) == 6 and len({c["from"] for c in found.values()}) == 1
    same = [{k: v for k, v in c.items() if k not in ("arm", "reward", "rl_seed")} for c in found.values()]
    assert all(c == same[0] for c in same)
    assert sorted((c["arm"], c["rl_seed"]) for c in found.values()) == [
        ("beam_top1", 0),
        ("grpo", 0),
        ("grpo", 1),
        ("rgrpo", 0),
        ("rgrpo", 0),
        ("rgrpo", 1),
    ]
    rewards = [c["reward"] for c in found.values()]
    assert sum(r["rank"] == 0 for r in rewards) == 1  # the control: form alone
    assert sum(r["validity"] == 0 for r in rewards) == 2 and RewardConfig().validity > 0  # GRPO, tuned


def test_rows_of_the_arms(toy_study):
    arms = toy_study.rows["arms"]
    assert set(arms) == ROWS
    steps = arms["grpo-1"]["steps"]
    assert len(steps["rank"]) == len(steps["silent_groups"]) == toy_study.open("run").profile.rl_steps == 2
    assert arms["rgrpo-0"]["steps"] != arms["rgrpo-1"]["steps"]  # another RL seed
    assert arms["rgrpo-1"]["rl_seed"] == 1 and arms["form-only-0"]["arm"] == "form_only"
    hits = recorded.values(arms["distilled"], "HR@10")
    ranks = arms["distilled"]["ranks"]
    assert hits.shape == (len(ranks),) and hits.sum() == sum(r is not None and r < 10 for r in ranks)
    assert np.isfinite(arms["rgrpo-0"]["rl_tokens"]) and "rl_tokens" not in arms["distilled"]
