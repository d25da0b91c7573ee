"""The learned baselines as stages of a run: they start from its alignment and see the same requests as CRS."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from . import backbones
from .baselines import latent
from .baselines.generative import HIDDEN, no_context, rank_own_beams
from .pipeline import Pipeline
from .ranker import CRSRanker
from .stages import Stage
from .tasks import context_to_sid


class QueryOnly:
    """DSI and LTRGR: everything that reads the query and nothing else."""

    def __init__(self, p: Pipeline):
        self.p, self.codec = p, no_context(p.codec, p.codec_options)

    def ranker(self, folder: Path) -> CRSRanker:
        return CRSRanker("query only", backbones.load_model(folder), self.codec, "none", batch=self.p.profile.eval_batch)

    def dsi(self, start: Stage) -> Stage:
        profile = self.p.profile
        depends = {"n": profile.distil_requests, "hide": sorted(HIDDEN)}
        return self.p.sft("dsi", start, depends, lambda: context_to_sid(self.codec, self.p.taught), profile.distil_lr)

    def ltrgr(self, start: Stage) -> Stage:
        """From the DSI checkpoint: a margin over its own beams."""
        p, profile = self.p, self.p.profile

        def fn(folder: Path) -> dict:
            model = backbones.load_model(start.folder)
            log = rank_own_beams(model, self.codec, p.taught, lr=profile.sft_lr, seed=p.seed, beams=profile.rl_beams)
            backbones.save(folder, model)
            (folder / "log.json").write_text(json.dumps(log))
            return {"steps": len(log)}

        depends = {"start": start, "lr": profile.sft_lr, "n": profile.distil_requests, "beams": profile.rl_beams}
        return p.work.run("ltrgr", {**depends, **p.context_key}, fn)


class Latent:
    """LatentR3 with the RL budget that every arm has."""

    def __init__(self, p: Pipeline):
        self.p = p
        self.config = latent.LatentConfig(steps=p.profile.rl_steps, prompts=p.profile.rl_prompts, group=p.profile.rl_group)

    def ranker(self, folder: Path) -> latent.LatentRanker:
        return latent.LatentRanker("latent", *latent.load(folder), self.p.codec, self.config.tokens, self.p.profile.eval_batch)

    def supervised(self, start: Stage) -> Stage:
        p, profile = self.p, self.p.profile

        def fn(folder: Path) -> dict:
            model = backbones.load_model(start.folder)
            bridge = latent.new_bridge(model)
            losses = latent.supervise(
                model, bridge, p.codec, p.taught, self.config, lr=profile.distil_lr, seed=p.seed,
                batch_tokens=profile.batch_tokens,
            )  # fmt: skip
            latent.save(folder, model, bridge)
            (folder / "log.json").write_text(json.dumps(losses))
            return {"steps": len(losses)}

        depends = {"start": start, "tokens": self.config.tokens, "lr": profile.distil_lr, "n": profile.distil_requests}
        return p.work.run("latent", {**depends, **p.context_key}, fn)

    def reinforced(self, start: Stage) -> Stage:
        p = self.p

        def fn(folder: Path) -> dict:
            model, bridge = latent.load(start.folder)
            log = latent.reinforce(model, bridge, p.codec, p.taught, self.config, p.seed)
            latent.save(folder, model, bridge)
            (folder / "log.json").write_text(json.dumps(log))
            return {"steps": len(log)}

        return p.work.run("latent-rl", {"start": start, "config": asdict(self.config), **p.context_key}, fn)
