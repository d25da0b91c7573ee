"""Which learning rate does each arm, and each learned baseline, get? Validation requests only, at most three
configurations each."""

from __future__ import annotations

from functools import partial

from crs_lite.prepared import Prepared
from crs_lite.rewards import RewardConfig
from crs_lite.study.experiments.shared import ARMS, FORM_ONLY, TUNED, Made, checked, later, tuned
from crs_lite.study.learned_baselines import Latent, QueryOnly
from crs_lite.study.recorded import Row
from crs_lite.training import align, collect, consolidate, direct, distil, explore
from crs_lite.workspace import named


def tune(p: Prepared) -> Made:
    """The learning rate of each RL arm, and the checkpoint from which consolidation starts."""
    start = distil(p, align(p))
    yield "distilled", partial(checked, p, "distilled SFT", start)

    def arm_row(arm: str, lr: float) -> Row:
        return checked(p, f"{arm} {lr:.0e}", explore(p, start, arm, lr=lr), arm=arm, lr=lr)

    for lr in (1e-4, 3e-4):
        for arm in ARMS:
            yield f"{arm}-{lr:.0e}", partial(arm_row, arm, lr)

    def without_validity() -> Row:
        """GRPO's third configuration: no reward for naming an existing ID, which it otherwise learns in place of
        hits."""
        explored = explore(p, start, "grpo", lr=1e-4, reward=RewardConfig(validity=0.0))
        return checked(p, "grpo 1e-04 no validity", explored, arm="grpo", lr=1e-4, validity=0.0)

    yield "grpo-1e-04-no-validity", without_validity

    def control() -> Row:
        """No reward for the list at all, only for form: what RL changes by making the reasoning short and tidy."""
        return checked(p, "form only", explore(p, start, "rgrpo", **FORM_ONLY), arm="form_only", lr=1e-4)

    yield "form-only", control

    def consolidated(name: str, from_rl: bool) -> Row:
        explored = explore(p, start, **tuned(p, TUNED["rgrpo"]))
        collected = collect(p, explored, "round0-rgrpo")
        return checked(p, name, consolidate(p, explored if from_rl else start, collected, name))

    for name, from_rl in (("round0-rgrpo-sft", False), ("round0-rgrpo-sft-from-rl", True)):
        yield name, partial(consolidated, name, from_rl)


def tune_baselines(p: Prepared) -> Made:
    """As `tune`, for the learned baselines."""
    aligned, words, thoughts = later(align, p), QueryOnly(p), Latent(p)
    first = p.profile.distil_lr

    def rate(lr: float) -> float | None:
        return None if lr == first else lr  # the profile's own rate has the stage that `main` uses

    for lr in (first, 6e-4, 2e-4):
        answering = later(direct, p, aligned, lr=rate(lr))
        yield f"direct-SFT-{lr:.0e}", partial(checked, p, f"direct SFT {lr:.0e}", answering, "none", lr=lr)
    for lr in (first, 6e-4):
        dsi = later(words.dsi, aligned, lr=rate(lr))
        yield f"DSI-{lr:.0e}", partial(checked, p, f"DSI {lr:.0e}", dsi, "none", words.ranker, lr=lr)
    dsi = later(words.dsi, aligned)
    for lr, generation in ((None, 1.0), (1e-4, 1.0), (1e-4, 10.0)):
        ltrgr = later(words.ltrgr, dsi, lr=lr, generation=generation)
        about = {"lr": lr or p.profile.sft_lr, "generation": generation}
        name = f"LTRGR-{about['lr']:.0e}-{generation:g}"
        yield name, partial(checked, p, name, ltrgr, "none", words.ranker, **about)
    latents = {lr: later(thoughts.supervised, aligned, lr=rate(lr)) for lr in (first, 6e-4)}
    for lr, taught in latents.items():
        yield (
            f"latent-SFT-{lr:.0e}",
            partial(checked, p, f"latent SFT {lr:.0e}", taught, "none", thoughts.ranker, lr=lr),
        )
    for lr, changes in ((first, {}), (6e-4, {"noise": 1.0}), (6e-4, {"noise": 1.0, "lr": 3e-3})):
        reinforced = later(thoughts.reinforced, latents[lr], **changes)
        name = f"LatentR3-{lr:.0e}" + named(**changes)
        yield name, partial(checked, p, name, reinforced, "none", thoughts.ranker, supervised_lr=lr, **changes)
