"""The learned baselines as stages of a run: they start from its alignment and see the same requests as CRS."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from crs_lite.baselines import latent
from crs_lite.baselines.generative import HIDDEN, no_context, rank_own_beams
from crs_lite.files import write_json
from crs_lite.model import backbones
from crs_lite.prepared import Prepared
from crs_lite.ranker import CRSRanker
from crs_lite.tasks import Example, context_to_sid
from crs_lite.training import supervised
from crs_lite.unfinished import Keeper
from crs_lite.workspace import UNFINISHED, Stage, named


class QueryOnly:
    """DSI and LTRGR: everything that reads the query and nothing else."""

    def __init__(self, p: Prepared):
        self.p, self.codec = p, no_context(p.codec, p.codec_options)

    def ranker(self, folder: Path) -> CRSRanker:
        """A ranker of the checkpoint in `folder`, whose prompts hold the query only."""
        return CRSRanker(
            "query only", backbones.load_model(folder), self.codec, "none", batch=self.p.profile.eval_batch
        )

    def dsi(self, start: Stage, lr: float | None = None) -> Stage:
        """DSI: query -> ID, on the requests the teacher explains."""

        def lessons() -> list[Example]:
            return context_to_sid(self.codec, self.p.taught)

        profile = self.p.profile
        depends = {"n": profile.distil_requests, "hide": sorted(HIDDEN)}
        return supervised(self.p, "dsi" + named(lr=lr), start, depends, lessons, lr or profile.distil_lr)

    def ltrgr(self, start: Stage, lr: float | None = None, generation: float = 1.0) -> Stage:
        """From the DSI checkpoint: a margin over its own beams."""
        p, profile = self.p, self.p.profile
        rate = lr or profile.sft_lr

        def margin(folder: Path) -> dict:
            model = backbones.load_model(start.folder)
            log = rank_own_beams(
                model,
                self.codec,
                p.taught,
                lr=rate,
                seed=p.seed,
                beams=profile.rl_beams,
                generation=generation,
                keeper=Keeper(folder / UNFINISHED),
            )
            backbones.save(folder, model)
            write_json(folder / "log.json", log)
            return {"steps": len(log)}

        depends = {
            "start": start,
            "lr": rate,
            "n": profile.distil_requests,
            "beams": profile.rl_beams,
            "generation": generation,
        }
        name = "ltrgr" + named(lr=lr, generation=None if generation == 1.0 else generation)
        return p.work.run(name, {**depends, **p.context_key}, margin)


class Latent:
    """LatentR3 with the RL budget that every arm has."""

    def __init__(self, p: Prepared):
        self.p = p
        self.config = latent.LatentConfig(
            steps=p.profile.rl_steps, prompts=p.profile.rl_prompts, group=p.profile.rl_group
        )

    def ranker(self, folder: Path) -> latent.LatentRanker:
        """A ranker of the checkpoint in `folder`, which thinks in latent vectors."""
        return latent.LatentRanker(
            "latent", *latent.load(folder), self.p.codec, self.config.tokens, self.p.profile.eval_batch
        )

    def supervised(self, start: Stage, lr: float | None = None) -> Stage:
        """The supervised phase, from an aligned model."""
        p, profile = self.p, self.p.profile
        rate = lr or profile.distil_lr

        def learn(folder: Path) -> dict:
            model = backbones.load_model(start.folder)
            bridge = latent.new_bridge(model)
            losses = latent.supervise(
                model,
                bridge,
                p.codec,
                p.taught,
                self.config,
                lr=rate,
                seed=p.seed,
                batch_tokens=profile.batch_tokens,
                keeper=Keeper(folder / UNFINISHED),
            )
            latent.save(folder, model, bridge)
            write_json(folder / "log.json", losses)
            return {"steps": len(losses)}

        depends = {"start": start, "tokens": self.config.tokens, "lr": rate, "n": profile.distil_requests}
        return p.work.run("latent" + named(lr=lr), {**depends, **p.context_key}, learn)

    def reinforced(self, start: Stage, **changes) -> Stage:
        """The RL phase, from the supervised one; `changes` are single budgets of `LatentConfig`."""
        p, config = self.p, replace(self.config, **changes)

        def reinforce(folder: Path) -> dict:
            model, bridge = latent.load(start.folder)
            log = latent.reinforce(model, bridge, p.codec, p.taught, config, p.seed, Keeper(folder / UNFINISHED))
            latent.save(folder, model, bridge)
            write_json(folder / "log.json", log)
            return {"steps": len(log)}

        return p.work.run(
            "latent-rl" + named(**changes), {"start": start, "config": asdict(config), **p.context_key}, reinforce
        )
