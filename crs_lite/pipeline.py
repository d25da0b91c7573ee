"""The whole system at one profile: log in, results file out, every stage resumable.

ids -> backbone -> align -> direct -> distil -> round 0 (split, explore, collect, consolidate) -> evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np

from . import backbones, evolve, sft
from .audit import audit
from .baselines.bm25 import BM25, query_leak
from .baselines.dense import Dense
from .baselines.popularity import Popularity
from .context import ContextBuilder, item_context
from .evaluate import Ranker, evaluate
from .facets import Parser, facet_values
from .faithful import faithfulness
from .logs import SearchLog, SearchRequest
from .profiles import Profile
from .ranker import CRSRanker, roundtrip
from .sid.codes import SemanticIDs
from .sid.embed import item_embeddings, load_embedder
from .sid.report import report
from .stages import Stage, Workspace, digest, hardware, versions
from .tasks import Codec, context_to_sid, item_to_sid, reasoned, sid_to_item, specification_to_sid
from .teacher import Evidence, Teacher, TeacherBias

K = 10


class Truth(Protocol):
    """What only a simulated shop knows. Real logs have none, and every number that needs it reads "no truth"."""

    def ranker(self, kind: str, hide: tuple[str, ...] = ()) -> Ranker: ...

    def claims(self, request: SearchRequest) -> dict[str, str]: ...


def named(**changes) -> str:
    """What a stage's folder is called after: "-lr=0.0001" for a budget that differs from the profile's, "" for none."""
    short = {k: v if isinstance(v, (int, float, str)) else digest(asdict(v))[:6] for k, v in changes.items() if v is not None}
    return "".join(f"-{k}={v}" for k, v in short.items())


class Remembering:
    """A ranker that keeps the lists it gave, `lists (n, k)`, for measures that look at more than the target."""

    def __init__(self, inner: Ranker):
        self.inner, self.name = inner, inner.name

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        self.lists = self.inner.rank(requests, k)
        return self.lists


class Pipeline:
    """One run of the system. Attributes appear as stages finish; `run()` makes them all."""

    def __init__(
        self,
        log: SearchLog,
        truth: Truth | None,
        profile: Profile,
        seed: int,
        root: Path,
        shipped_embeddings: Path | None = None,
        command: str = "",
    ):
        self.log, self.truth, self.profile, self.seed, self.command = log, truth, profile, seed, command
        self.shipped = shipped_embeddings
        self.work = Workspace(root, seed)
        self.log_key = log.digest()

    # -- what is trained on ----------------------------------------------------------------------

    def prepare(self) -> None:
        """IDs, tokenizer, fresh backbone, teacher: everything that needs no training."""
        p = self.profile
        self.train = self.log.split("train")[-p.train_requests :]
        self.pool = self._sample(self.train, p.collect_requests, 1)
        self.taught = self._sample(self.train, p.distil_requests, 2)
        self.test = self._sample(self.log.split("test"), p.eval_requests, 3)
        vectors = {} if p.embedder == "minilm" else {"embedder": p.embedder}
        self.ids_stage = self.work.run("ids", {"log": self.log_key, "sizes": p.sid_sizes, **vectors}, self._make_ids)
        self.sids = SemanticIDs.load(self.ids_stage.folder)
        self.evidence = Evidence(self.log)
        self.teacher = Teacher(self.log, self.evidence, TeacherBias(), self.seed)
        fields = ("backbone", "arch", "hidden", "layers", "heads", "ffn", "vocab")
        depends = {"ids": self.ids_stage, **{f: getattr(p, f) for f in fields}}
        self.fresh = self.work.run("backbone", depends, self._make_backbone)
        self.tokenizer = backbones.load_tokenizer(self.fresh.folder)
        context = {"budget": p.context_budget, "item_view": p.item_view, "max_skipped": p.max_skipped}
        self.codec_options = context
        self.codec = Codec(self.log, self.sids, self.tokenizer, context)
        self.context_key = {**context, "log": self.log_key, "train_requests": p.train_requests}
        if p.lora_rank:
            self.context_key["lora_rank"] = p.lora_rank

    def _sample(self, requests: list[SearchRequest], n: int, salt: int) -> list[SearchRequest]:
        """A fixed random subset, the same for every seed of a run, in time order; all of them for n = 0."""
        if not n or n >= len(requests):
            return requests
        rows = np.random.default_rng(salt).choice(len(requests), n, replace=False)
        return [requests[i] for i in sorted(rows)]

    def embeddings(self) -> np.ndarray:
        """Item vectors `(N, d)`: shipped with the log where they are, else computed once and kept with the run."""
        shipped = self.shipped if self.profile.embedder == "minilm" else None
        cache = self.work.root / f"embeddings-{self.profile.embedder.replace('/', '-')}.safetensors"
        return item_embeddings(self.log, shipped=shipped, cache=cache, model=self.profile.embedder)

    def _make_ids(self, folder: Path) -> dict:
        x = self.embeddings()
        sids = SemanticIDs.build(x, self.profile.sid_sizes, seed=0)
        sids.save(folder)
        return report(x, sids)

    def _make_backbone(self, folder: Path) -> dict:
        texts = self._tokenizer_texts() if self.profile.backbone == "tiny" else []
        model, tokenizer = backbones.build(self.profile, texts, self.sids.tokens(), self.seed)
        backbones.save(folder, model, tokenizer)
        return {"parameters": backbones.n_parameters(model), "vocabulary": len(tokenizer)}

    def _tokenizer_texts(self) -> list[str]:
        """Training text only: item contexts, contexts without their IDs, and the teacher's sentences."""
        build = ContextBuilder(self.log, lambda _: "", len, budget=10**6, max_skipped=self.profile.max_skipped)
        some = self._sample(self.train, 3000, 4)
        items = [item_context(i) for i in self.log.items] + [i.title for i in self.log.items]
        return items + [build.build(r).to_json() for r in some] + [self.teacher.write(r) for r in some]

    # -- training ----------------------------------------------------------------------------------

    def _trainable(self, start: Stage):
        """The model of a checkpoint, ready to learn (see `backbones.adapt`)."""
        return backbones.adapt(backbones.load_model(start.folder), self.profile.lora_rank)

    def align(self) -> Stage:
        p = self.profile
        fields = ("align_item_epochs", "align_context_epochs", "align_reconstruct", "align_lr", "batch_tokens", "dtype")
        depends = {"backbone": self.fresh, **self.context_key, **{f: getattr(p, f) for f in fields}}

        def fn(folder: Path) -> dict:
            model = self._trainable(self.fresh)
            codec = self.codec
            # The trainer repeats its data for `align_context_epochs`; item pairs must be seen more often than that.
            repeat = max(1, p.align_item_epochs // p.align_context_epochs)
            # Spelling a title is harder than naming an ID, so it gets half as many lessons again.
            pairs = item_to_sid(codec) * repeat + sid_to_item(codec) * (repeat + repeat // 2)
            spec = specification_to_sid(codec, self.teacher.describe, len(self.log.items) * repeat, self.seed)
            contexts = context_to_sid(codec, self.train, p.align_reconstruct)
            log = sft.train(
                model, self.tokenizer, pairs + spec + contexts, epochs=p.align_context_epochs, lr=p.align_lr,
                batch_tokens=p.batch_tokens, seed=self.seed, dtype=p.dtype,
            )  # fmt: skip
            model = backbones.merged(model)
            backbones.save(folder, model)
            (folder / "log.json").write_text(json.dumps(log))
            return roundtrip(model, codec, p.check_items)

        return self.work.run("align", depends, fn, together=True)

    def sft(
        self, name: str, start: Stage, depends: dict, examples: Callable[[], list], lr: float, epochs: int | None = None
    ) -> Stage:
        """A supervised stage from `start` on the training sequences that `examples()` makes; by default the profile's
        `sft_epochs` times over them."""
        p, epochs = self.profile, epochs or self.profile.sft_epochs
        fields = ("batch_tokens", "dtype")
        depends = {"start": start, "lr": lr, "sft_epochs": epochs, **self.context_key, **{f: getattr(p, f) for f in fields}, **depends}

        def fn(folder: Path) -> dict:
            model = self._trainable(start)
            rows, log = examples(), []
            if rows:  # a weak model may get nothing right; then there is nothing to learn from
                log = sft.train(
                    model, self.tokenizer, rows, epochs=epochs, lr=lr, batch_tokens=p.batch_tokens,
                    seed=self.seed, dtype=p.dtype,
                )  # fmt: skip
            backbones.save(folder, backbones.merged(model))
            (folder / "log.json").write_text(json.dumps(log))
            return {"examples": len(rows)}

        return self.work.run(name, depends, fn, together=True)

    def direct(self, start: Stage, lr: float | None = None, epochs: int | None = None) -> Stage:
        """Direct SFT: context -> ID without reasoning, on the same requests as the distilled start, by default at its
        learning rate."""
        p = self.profile
        examples = lambda: context_to_sid(self.codec, self.taught)  # noqa: E731
        name = "direct" + named(lr=lr, epochs=epochs)
        return self.sft(name, start, {"n": p.distil_requests}, examples, lr or p.distil_lr, epochs)

    def distil(self, start: Stage, epochs: int | None = None) -> Stage:
        """The distilled start: the teacher's reasoning, then the ID."""
        depends = {"n": self.profile.distil_requests, "bias": asdict(self.teacher.bias)}
        pairs = lambda: [(r, self.teacher.write(r), r.target) for r in self.taught]  # noqa: E731
        name = "distil" + named(epochs=epochs)
        return self.sft(name, start, depends, lambda: reasoned(self.codec, pairs()), self.profile.distil_lr, epochs)

    # -- one round of the loop. `path` names what led to it, so that branches of one start never share a folder ------

    def split(self, start: Stage, path: str = "round0") -> Stage:
        """Which requests of the pool the round's start gets wrong (to explore) and right."""
        p = self.profile
        fields = ("collect_requests", "max_reasoning")
        depends = {"start": start, **self.context_key, **{f: getattr(p, f) for f in fields}}

        def fn(folder: Path) -> dict:
            rows = evolve.split(backbones.load_model(start.folder), self.codec, self.pool, p)
            (folder / "split.json").write_text(json.dumps(rows))
            return {name: len(value) for name, value in rows.items()}

        return self.work.run(f"{path}-split", depends, fn)

    def explore(self, start: Stage, arm: str = "rgrpo", path: str = "round0", rl_seed: int = 0, **changes) -> Stage:
        """RL from `start` on what it gets wrong. `rl_seed` > 0 repeats it from the same start with other luck; `changes`
        are single budgets of `RLConfig`, and the folder is named after them."""
        split = self.split(start, path)
        config = evolve.rl_config(self.profile, arm, **changes)

        def fn(folder: Path) -> dict:
            model = self._trainable(start)
            reference = backbones.load_model(start.folder) if config.kl > 0 else None
            wrong = [self.pool[i] for i in split.json("split.json")["wrong"]]
            seed = self.seed + 1000 * rl_seed
            history = evolve.explore(model, reference, self.codec, wrong, config, seed, folder / "steps.jsonl")
            backbones.save(folder, backbones.merged(model))
            return {"wrong": len(wrong), "steps": len(history)}

        depends = {"split": split, "config": asdict(config), **({"rl_seed": rl_seed} if rl_seed else {})}
        name = "-".join([path, arm, *([str(rl_seed)] if rl_seed else [])])
        return self.work.run(name + named(**changes), depends, fn, together=True)

    def collect(self, explored: Stage, path: str = "round0", temperature: float | None = None) -> Stage:
        """Reasoning sampled from the explorer that led to the target: what the next SFT learns from."""
        p = self.profile if temperature is None else replace(self.profile, rl_temperature=temperature)

        def fn(folder: Path) -> dict:
            kept = evolve.collect(backbones.load_model(explored.folder), self.codec, self.pool, p, self.seed)
            (folder / "kept.json").write_text(json.dumps(kept, ensure_ascii=False))
            return {"kept": len(kept), "of": len(self.pool)}

        depends = {"explored": explored, "samples": p.collect_samples, "temperature": p.rl_temperature}
        return self.work.run(f"{path}-collect", depends, fn)

    def consolidate(self, start: Stage, collected: Stage, name: str) -> Stage:
        """SFT on what was collected, from `start`: the RL checkpoint, or the SFT one the round began with."""
        pairs = lambda: [(self.pool[i], text, self.pool[i].target) for i, text in collected.json("kept.json")]  # noqa: E731
        return self.sft(name, start, {"collected": collected}, lambda: reasoned(self.codec, pairs()), self.profile.sft_lr)

    # -- evaluation --------------------------------------------------------------------------------

    def true_reasoning(self, request: SearchRequest) -> str:
        """What a perfectly informed reader would say of this request, in the teacher's words."""
        return self.teacher.render(request, self.truth.claims(request), np.random.default_rng([self.seed, request.id]))

    def score_baselines(self) -> list[dict]:
        """Popularity, BM25, dense and, where there is a truth, both ceilings, on the test requests of this run."""

        def fn(folder: Path) -> dict:
            dense = Dense(self.embeddings(), load_embedder(self.profile.embedder).encode)
            rankers: list[Ranker] = [Popularity(self.log), BM25(self.log), dense]
            if self.truth:
                rankers += [self.truth.ranker("informed"), self.truth.ranker("oracle")]
            rows = [evaluate(r, self.log, self.test, K).model_dump() for r in rankers]
            (folder / "rows.json").write_text(json.dumps(rows))
            return {"BM25 HR@10 on validation (query leak)": query_leak(self.log)}

        stage = self.work.run("score-baselines", {"ids": self.ids_stage, "log": self.log_key, "n": self.profile.eval_requests}, fn)
        self.leak = next(iter(stage.info.values()))
        return stage.json("rows.json")

    def requests(self, split: str) -> list[SearchRequest]:
        """The fixed random sample of a split that numbers are taken on; choices are made on "valid" only."""
        return self.test if split == "test" else self._sample(self.log.split(split), self.profile.valid_requests, 5)

    def score(
        self,
        name: str,
        stage: Stage,
        reason: str = "own",
        split: str = "test",
        ranker: Callable[[Path], Ranker] | None = None,
    ) -> dict:
        """One row of the table: metrics of a checkpoint and, where there is a truth, the two probes (method, section 9).

        `ranker` makes another ranker of the stage's folder; by default it is CRS, which reasons as `reason` says.
        """
        p, requests = self.profile, self.requests(split)
        depends = {
            "checkpoint": stage, "reason": reason, "n": len(requests), "max_reasoning": p.max_reasoning, "split": split,
            "intervened": p.intervened, **self.context_key,
        }  # fmt: skip

        def crs(folder: Path, how=reason, called: str = name) -> CRSRanker:
            return CRSRanker(called, backbones.load_model(folder), self.codec, how, p.max_reasoning, p.eval_batch)

        def fn(folder: Path) -> dict:
            kept = Remembering((ranker or crs)(stage.folder))
            row = evaluate(kept, self.log, requests, K).model_dump()
            if self.truth:
                row["utility"] = self.truth.expected_utility(requests, kept.lists).round(5).tolist()
            if reason == "own" and ranker is None:
                row |= self._reasoning(kept, requests)
                if self.truth and split == "test":
                    probe = crs(stage.folder, self.true_reasoning, f"{name}, true reasoning")
                    row["true_reasoning"] = evaluate(probe, self.log, requests, K).model_dump()
            (folder / "row.json").write_text(json.dumps(row, ensure_ascii=False))
            return {}

        where = "score" if split == "test" else f"score-{split}"
        scored = self.work.run(f"{where}-{name.replace(' ', '-')}", depends, fn)
        return {**scored.json("row.json"), "minutes": stage.minutes}

    def _reasoning(self, kept: Remembering, requests: list[SearchRequest]) -> dict:
        """What is to be said of the reasoning behind the lists a CRS ranker just gave."""
        ranker, parser, first = kept.inner, Parser(facet_values(self.log)), slice(self.profile.intervened)
        claims = [self.truth.claims(r) if self.truth else {} for r in requests]
        return {
            "audit": audit(ranker.thoughts, claims, parser, requests, self.teacher),
            "faithfulness": faithfulness(
                ranker.model, self.codec, requests[first], ranker.thoughts[first], kept.lists[first], parser,
                batch=self.profile.eval_batch,
            ),
            "thoughts": ranker.thoughts,
        }  # fmt: skip

    def run(self) -> dict:
        """Everything, in order. Returns the results (see `results.py`)."""
        started = perf_counter()
        self.prepare()
        baselines = self.score_baselines()
        align = self.align()
        direct, distil = self.direct(align), self.distil(align)
        split, explored = self.split(distil), self.explore(distil)
        collected = self.collect(explored)
        # The paper leaves open where consolidation starts. Validation requests could not tell the two choices apart; the
        # SFT checkpoint is ours, and the other stands beside it.
        consolidated = self.consolidate(distil, collected, "round0-sft")
        continued = self.consolidate(explored, collected, "round0-sft-from-rl")
        stages = [
            self.score("aligned", align, "none"),
            self.score("direct SFT", direct, "none"),
            self.score("distilled SFT", distil),
            self.score("after RL", explored),
            self.score("after consolidation", consolidated),
            self.score("consolidation from RL", continued),
        ]
        made = [self.ids_stage, self.fresh, align, direct, distil, split, collected, explored, consolidated, continued]
        return {
            "name": "quickstart",
            "log": self.log.name,
            "log_sha256": self.log_key,
            "synthetic_queries": any(r.synthetic_query for r in self.test),
            "query_leak": self.leak,
            "profile": asdict(self.profile),
            "seed": self.seed,
            "n_test": len(self.test),
            "command": self.command,
            "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
            "versions": versions(),
            "hardware": hardware(),
            "minutes": self._total_minutes(),
            "minutes_this_call": (perf_counter() - started) / 60,
            "parameters": self.fresh.info,
            "sid": self.ids_stage.info,
            "alignment": align.info,
            "context": self.context_report(),
            "stage_minutes": {s.folder.name: s.minutes for s in made},
            "stage_info": {s.folder.name: s.info for s in made},
            "rl_steps": [json.loads(line) for line in (explored.folder / "steps.jsonl").read_text().splitlines()],
            "baselines": baselines,
            "stages": stages,
        }

    def _total_minutes(self) -> float:
        """Minutes of all stages this run used, whenever they were made."""
        return sum(self.work.minutes.values())

    def context_report(self) -> dict:
        """How much of the history survives the token budget: distribution over the test requests."""
        kept = [len(self.codec.context(r).history) for r in self.test]
        there = [len(self.log.history(r, 10)) for r in self.test]
        tokens = [len(self.codec.prompt(r)) for r in self.test]
        full = [k for k, n in zip(kept, there) if n == 10]
        return {
            "median_kept_of_10": float(np.median(full)) if full else None,
            "kept_quartiles": np.percentile(kept, [0, 25, 50, 75, 100]).tolist(),
            "tokens_quartiles": np.percentile(tokens, [0, 25, 50, 75, 100]).tolist(),
        }
