"""What a run needs before anything is trained: the requests it uses, item IDs, a fresh backbone, the codec, the
teacher."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from crs_lite import paths
from crs_lite.adapters.registry import LogSource
from crs_lite.context import ContextBuilder, item_context
from crs_lite.errors import CRSError
from crs_lite.evaluate import Ranker
from crs_lite.logs import SearchLog, SearchRequest
from crs_lite.model import backbones
from crs_lite.profiles import Profile
from crs_lite.reasoning.foresight import Foresight
from crs_lite.reasoning.perception import Perception
from crs_lite.reasoning.teacher import Evidence, Teacher, TeacherBias
from crs_lite.sid.codes import SemanticIDs
from crs_lite.sid.embed import item_embeddings
from crs_lite.sid.report import report
from crs_lite.tasks import Codec
from crs_lite.workspace import Stage, Workspace

TEACHERS: dict[str, type[Teacher]] = {"hindsight": Teacher, "foresight": Foresight}


class Truth(Protocol):
    """What only a simulated shop knows. Real logs have none, and every number that needs it reads "no truth"."""

    def ranker(self, kind: str, hide: tuple[str, ...] = ()) -> Ranker:
        """The `informed` ranking or the `oracle`."""
        ...

    def claims(self, request: SearchRequest) -> dict[str, str]:
        """Facet -> the value that is most likely of what this shopper wants."""
        ...

    def expected_utility(self, requests: list[SearchRequest], lists: np.ndarray) -> np.ndarray:
        """`(n, k)` lists -> `(n,)`: what the shopper can expect of each list."""
        ...


@dataclass(frozen=True)
class Prepared:
    """One run at the moment before its first training step. Made by `prepare`; nothing in it changes afterwards.

    `train`: the training requests this run may use, in time order; `taught`: those the teacher explains; `pool`: those
    the loop works on; `test`: the ones that numbers are taken on. Samples are the same for every seed of a run.
    """

    log: SearchLog
    truth: Truth | None
    profile: Profile
    seed: int
    work: Workspace
    shipped: Path | None  # embeddings that came with the log
    about: dict | None  # of a real log: the account of its rows, the checks on it
    log_key: str  # sha256 of the log
    train: list[SearchRequest]
    pool: list[SearchRequest]
    taught: list[SearchRequest]
    test: list[SearchRequest]
    ids_stage: Stage
    sids: SemanticIDs
    fresh: Stage  # the backbone as it begins
    codec: Codec
    teacher: Teacher
    perception: Perception

    @property
    def tokenizer(self):
        """The run's tokenizer, item IDs included."""
        return self.codec.tokenizer

    @property
    def codec_options(self) -> dict:
        """How contexts are written (see `ContextBuilder`)."""
        return codec_options(self.profile)

    @property
    def context_key(self) -> dict:
        """What the key of every stage that trains on contexts depends on."""
        p = self.profile
        key = {**self.codec_options, "log": self.log_key, "train_requests": p.train_requests}
        key |= {"lora_rank": p.lora_rank} if p.lora_rank else {}
        return key | ({"fresh_pool": True} if p.fresh_pool else {})

    def requests(self, split: str) -> list[SearchRequest]:
        """The fixed random sample of a split that numbers are taken on; choices are made on "valid" only."""
        return self.test if split == "test" else sample(self.log.split(split), self.profile.valid_requests, 5)

    def embeddings(self) -> np.ndarray:
        """Item vectors `(N, d)`."""
        return embeddings(self.log, self.profile, self.work, self.shipped)

    def true_reasoning(self, request: SearchRequest) -> str:
        """What a perfectly informed reader would say of this request, in the teacher's words."""
        rng = np.random.default_rng([self.seed, request.id])
        said = self.teacher.render(request, self.truth.claims(request), rng)
        return self.perception.write(request) + said

    def lesson(self, request: SearchRequest) -> str:
        """What the teacher writes of a training request, in the run's format."""
        return self.perception.write(request) + self.teacher.write(request)

    def thought_prompt(self, request: SearchRequest) -> list[int]:
        """The prompt up to where conclusions begin: the context, and what is to be seen and counted in it."""
        text = self.perception.write(request)
        return self.codec.prompt(request) + (self.codec.encode(text) if text else [])


def prepare(
    log: SearchLog,
    truth: Truth | None,
    profile: Profile,
    seed: int,
    root: Path,
    shipped: Path | None = None,
    about: dict | None = None,
) -> Prepared:
    """IDs, tokenizer, fresh backbone, codec, teacher. Two stages in `root`, `ids` and `backbone`; made once, then
    read."""
    work, log_key = Workspace(root, seed), log.digest()
    train = log.split("train")[-profile.train_requests :]
    ids_stage, sids = _ids(log, log_key, profile, work, shipped)
    evidence = Evidence(log)
    # The tokenizer is the same whatever teacher a run has: every format and teacher begins from the same alignment.
    teacher = Teacher(log, evidence, TeacherBias(), seed)
    fresh = _backbone(log, profile, seed, work, ids_stage, sids, train, teacher)
    codec = Codec(log, sids, backbones.load_tokenizer(fresh.folder), codec_options(profile))
    return Prepared(
        log=log,
        truth=truth,
        profile=profile,
        seed=seed,
        work=work,
        shipped=shipped,
        about=about,
        log_key=log_key,
        train=train,
        pool=_pool(log, profile, train),
        taught=sample(train, profile.distil_requests, 2),
        test=sample(log.split("test"), profile.eval_requests, 3),
        ids_stage=ids_stage,
        sids=sids,
        fresh=fresh,
        codec=codec,
        teacher=TEACHERS[profile.teacher](log, evidence, TeacherBias(), seed),
        perception=Perception(codec, profile.reasoning),
    )


def taught_as(p: Prepared, **changes) -> Prepared:
    """The same run with other reasoning: `reasoning`, `teacher` or `replay` of its profile changed. What comes before
    distillation is shared."""
    profile = replace(p.profile, **changes)
    teacher = TEACHERS[profile.teacher](p.log, p.teacher.evidence, TeacherBias(), p.seed)
    return replace(p, profile=profile, teacher=teacher, perception=Perception(p.codec, profile.reasoning))


def _pool(log: SearchLog, profile: Profile, train: list[SearchRequest]) -> list[SearchRequest]:
    """What the loop works on. Raises `CRSError` when too few requests are left that no other stage sees."""
    if not profile.fresh_pool:
        return sample(train, profile.collect_requests, 1)
    unseen = log.split("train")[: -profile.train_requests]
    if len(unseen) < profile.collect_requests:
        raise CRSError(
            f"log {log.name!r}: {len(unseen)} training requests are left for the loop, {profile.collect_requests} are "
            "wanted; lower train_requests or collect_requests, or set fresh_pool=False."
        )
    return sample(unseen, profile.collect_requests, 1)


def sample(requests: list[SearchRequest], n: int, salt: int) -> list[SearchRequest]:
    """A random subset that depends on `salt` only, in time order; all of them for n = 0."""
    if not n or n >= len(requests):
        return requests
    rows = np.random.default_rng(salt).choice(len(requests), n, replace=False)
    return [requests[i] for i in sorted(rows)]


def codec_options(profile: Profile) -> dict:
    """How a profile writes contexts."""
    return {"budget": profile.context_budget, "item_view": profile.item_view, "max_skipped": profile.max_skipped}


def embeddings(log: SearchLog, profile: Profile, work: Workspace, shipped: Path | None) -> np.ndarray:
    """Item vectors `(N, d)`: shipped with the log where they are, else computed once and kept with the run."""
    cache = work.root / f"embeddings-{profile.embedder.replace('/', '-')}.safetensors"
    ours = shipped if profile.embedder == "minilm" else None
    return item_embeddings(log, shipped=ours, cache=cache, model=profile.embedder)


@dataclass(frozen=True)
class RunSpec:
    """What the words of a command ask for. It can be sent to another process."""

    profile: Profile
    source: LogSource = LogSource()

    def __call__(self, seed: int, root: Path | None = None) -> Prepared:
        """The run of that seed, in `root` or else in its folder under `runs/`."""
        log, truth, shipped, about = self.source.open()
        folder = root or paths.RUNS / f"{log.name}-{self.profile.name}-{seed}"
        return prepare(log, truth, self.profile, seed, folder, shipped, about)


# -- the two stages ---------------------------------------------------------------------------------


def _ids(log: SearchLog, log_key: str, profile: Profile, work: Workspace, shipped: Path | None):
    def quantise(folder: Path) -> dict:
        x = embeddings(log, profile, work, shipped)
        sids = SemanticIDs.build(x, profile.sid_sizes, seed=0)
        sids.save(folder)
        return report(x, sids)

    other = {} if profile.embedder == "minilm" else {"embedder": profile.embedder}
    stage = work.run("ids", {"log": log_key, "sizes": profile.sid_sizes, **other}, quantise)
    return stage, SemanticIDs.load(stage.folder)


def _backbone(
    log: SearchLog,
    profile: Profile,
    seed: int,
    work: Workspace,
    ids: Stage,
    sids: SemanticIDs,
    train: list[SearchRequest],
    teacher: Teacher,
) -> Stage:
    def begin(folder: Path) -> dict:
        texts = tokenizer_texts(log, profile, train, teacher) if profile.backbone == "tiny" else []
        model, tokenizer = backbones.build(profile, texts, sids.tokens(), seed)
        backbones.save(folder, model, tokenizer)
        return {"parameters": backbones.n_parameters(model), "vocabulary": len(tokenizer)}

    fields = ("backbone", "arch", "hidden", "layers", "heads", "ffn", "vocab")
    return work.run("backbone", {"ids": ids, **{f: getattr(profile, f) for f in fields}}, begin)


def tokenizer_texts(log: SearchLog, profile: Profile, train: list[SearchRequest], teacher: Teacher) -> list[str]:
    """Training text only: item contexts, contexts without their IDs, and the teacher's sentences."""
    builder = ContextBuilder(log, lambda _: "", len, budget=10**6, max_skipped=profile.max_skipped)
    some = sample(train, 3000, 4)
    items = [item_context(i) for i in log.items] + [i.title for i in log.items]
    return items + [builder.build(r).to_json() for r in some] + [teacher.write(r) for r in some]
