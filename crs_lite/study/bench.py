"""Benchmarks: each row is ours against the stock way, measured in turns in one run, after a warm-up, medians.

The stock way is what one would write with the libraries alone: Hugging Face `generate` with a Python prefix function,
one copy of the prompt per completion, TRL's `GRPOTrainer`, plain faiss calls.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import faiss
import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, TrainerCallback

from crs_lite.decode import beam_search, left_pad, plant, sample
from crs_lite.model import backbones
from crs_lite.profiles import get_profile
from crs_lite.rl import RLConfig, Vocabulary, packed_logprobs, rollout, update
from crs_lite.sid.kmeans import KMEANS, ResidualKMeans
from crs_lite.study import pretrained
from crs_lite.study.stock import PAD, hf_beams, naive_logprobs
from crs_lite.study.timing import Row, pair, timed
from crs_lite.trie import Trie

END, WORDS = 3, 2048  # the vocabulary: words below WORDS, ID tokens above
PROMPT, REASONING, GROUP, BEAMS = 160, 32, 8, 10


@dataclass(frozen=True)
class Bench:
    """A model of the laptop profile's shape with random weights, a catalogue of 1,000 items, prompts of 160 to 200
    tokens."""

    model: PreTrainedModel
    ids: np.ndarray
    trie: Trie
    prompts: list[list[int]]

    @classmethod
    def make(cls, n_prompts: int = 4, seed: int = 0) -> Bench:
        """The same for the same seed."""
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        ids = random_catalogue(1000, 32, rng) + WORDS
        model = backbones.tiny_model(get_profile("laptop"), int(ids.max()) + 1).eval()
        prompts = [rng.integers(4, WORDS, size=rng.integers(PROMPT, PROMPT + 40)).tolist() for _ in range(n_prompts)]
        return cls(model, ids, Trie.build(ids), prompts)


def random_catalogue(n: int, codes: int, rng: np.random.Generator) -> np.ndarray:
    """Codes `(n, 4)` of n different items: three random codes and a counter among those that share them; layers
    disjoint."""
    flat = np.sort(rng.integers(0, codes**3, size=n))
    start = np.r_[True, flat[1:] != flat[:-1]]
    run = np.arange(n) - np.maximum.accumulate(np.where(start, np.arange(n), 0))
    layers = [flat // codes**2, flat // codes % codes, flat % codes, run]
    return np.stack([layer + level * codes for level, layer in enumerate(layers)], axis=1)


# -- beams ---------------------------------------------------------------------------------------


def beam(repeats: int = 5, cases: int = 500) -> list[Row]:
    """Beam search, from a fresh prompt and going on from a trajectory, against Hugging Face `generate`."""
    b = Bench.make()

    def grown():
        return sample(plant(b.model, b.prompts, PAD), GROUP, END, REASONING, 1.0, torch.Generator().manual_seed(0))

    drawn = grown()
    longer = [p + drawn.rows(i, g) for i, p in enumerate(b.prompts) for g in range(GROUP)]

    def from_cache() -> float:
        tree = grown().tree  # made anew each time, outside the clock: a search uses its tree up
        return timed(lambda: beam_search(tree, b.trie, BEAMS))()

    fresh = pair(
        timed(lambda: beam_search(plant(b.model, b.prompts, PAD), b.trie, BEAMS)),
        timed(lambda: hf_beams(b.model, b.prompts, b.ids, BEAMS)),
        repeats,
    )
    onward = pair(from_cache, timed(lambda: hf_beams(b.model, longer, b.ids, BEAMS)), max(2, repeats // 2))
    same, exact = _same_lists(b, cases), _same_as_brute_force(b)
    note = f"{same} of {cases} random lists identical to generate; "
    note += f"full ranking of 1,000 items equal to brute force for {exact} of 3 prompts"
    return [
        Row("beams from a fresh prompt", *fresh, 4.0, note),
        Row(
            "beams from the rollout's cache",
            *onward,
            10.0,
            f"{len(b.prompts)} prompts x {GROUP} trajectories, {BEAMS} beams each",
        ),
    ]


def _same_lists(b: Bench, cases: int) -> int:
    """On how many random prompts our list equals Hugging Face's.

    In float64, and with weights twice as large: generate compares scores in float32 whatever the model computes in, and
    the flat scores of a fresh model hold near ties that float32 cannot order.
    """
    model, rng, same = copy.deepcopy(b.model).double(), np.random.default_rng(1), 0
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2.0)
    for start in range(0, cases, 20):
        prompts = [rng.integers(4, WORDS, size=rng.integers(4, 80)).tolist() for _ in range(min(20, cases - start))]
        mine = beam_search(plant(model, prompts, PAD), b.trie, BEAMS)[0][:, 0]
        same += sum(
            b.ids[m].tolist() == t for m, t in zip(mine.numpy(), hf_beams(model, prompts, b.ids, BEAMS), strict=True)
        )
    return same


@torch.no_grad()
def _same_as_brute_force(b: Bench, prompts: int = 3) -> int:
    """For how many prompts a search as wide as the catalogue ranks all items as plain forward passes do (float64)."""
    model, rng, same = copy.deepcopy(b.model).double(), np.random.default_rng(2), 0
    for _ in range(prompts):
        prompt = rng.integers(4, WORDS, size=12).tolist()
        rows = torch.tensor([prompt + row for row in b.ids.tolist()])
        logp = torch.cat([model(part[:, :-1], logits_to_keep=4).logits.log_softmax(-1) for part in rows.split(250)])
        score = logp.gather(-1, rows[:, -4:, None])[..., 0].sum(-1)
        mine = beam_search(plant(model, [prompt], PAD), b.trie, len(b.ids))[0][0, 0]
        same += torch.equal(score.argsort(descending=True), mine)
    return same


# -- rollouts and steps --------------------------------------------------------------------------


def rollouts(repeats: int = 5) -> list[Row]:
    """Sampling a group of trajectories a prompt, against Hugging Face `generate`."""
    b = Bench.make()
    tokens, mask = left_pad(b.prompts, PAD, "cpu")
    stock = lambda: b.model.generate(  # noqa: E731
        tokens,
        attention_mask=mask.long(),
        do_sample=True,
        top_k=0,
        num_return_sequences=GROUP,
        max_new_tokens=REASONING,
        min_new_tokens=REASONING,
        pad_token_id=PAD,
        eos_token_id=1,
    )
    ours = lambda: sample(plant(b.model, b.prompts, PAD), GROUP, END, REASONING, 1.0)  # noqa: E731
    return [Row(f"{GROUP} trajectories a prompt", *pair(timed(ours), timed(stock), repeats))]


def step(repeats: int = 5) -> list[Row]:
    """One update on a packed group, against every completion behind its own copy of the prompt."""
    b = Bench.make()
    generator = torch.Generator().manual_seed(0)
    completion = torch.randint(4, WORDS, (len(b.prompts), GROUP, REASONING), generator=generator)
    mask = torch.ones_like(completion, dtype=torch.bool)
    weight = torch.randn(completion.shape, generator=generator)

    def back(logprob: torch.Tensor) -> None:
        b.model.zero_grad()
        (logprob * weight).sum().backward()

    packed = timed(lambda: back(packed_logprobs(b.model, b.prompts, completion, mask, PAD)))
    naive = timed(lambda: back(naive_logprobs(b.model, b.prompts, completion)))
    rows = [
        Row(
            "update alone",
            *pair(packed, naive, repeats),
            2.5,
            f"prompt {PROMPT}+, completions {REASONING}, G = {GROUP}",
        )
    ]
    back(packed_logprobs(b.model, b.prompts, completion, mask, PAD))
    mine = [p.grad.clone() for p in b.model.parameters()]
    back(naive_logprobs(b.model, b.prompts, completion))
    gap = max(float((a - p.grad).norm() / p.grad.norm()) for a, p in zip(mine, b.model.parameters(), strict=True))
    rows[0].note += f"; largest relative gap of a gradient {gap:.0e}"
    ours = _our_steps(b, repeats)
    rows.append(
        Row(
            "whole R-GRPO step",
            ours,
            _trl_steps(b, repeats),
            4.0,
            "sample, beams, reward, update; stock: TRL's GRPO + generate's beams",
        )
    )
    return rows


def _our_steps(b: Bench, repeats: int) -> float:
    config = RLConfig(group=GROUP, beams=BEAMS, max_reasoning=REASONING, kl=0.0)
    vocab = Vocabulary(PAD, END, b.ids)
    optimizer = torch.optim.AdamW(b.model.parameters(), lr=1e-5)
    targets = np.arange(len(b.prompts))

    def one() -> None:
        roll = rollout(b.model, b.prompts, targets, b.trie, vocab, config, torch.Generator().manual_seed(0))
        roll.informative[:] = True  # a random model earns nothing; the update must be paid for all the same
        roll.advantage[:] = np.random.default_rng(0).standard_normal(roll.advantage.shape)
        update(b.model, None, optimizer, roll, vocab, config)

    return median([timed(one)() for _ in range(repeats + 1)][1:])


class _Clock(TrainerCallback):
    def __init__(self):
        self.seconds: list[float] = []

    def on_step_begin(self, args, state, control, **_):
        self.started = perf_counter()

    def on_step_end(self, args, state, control, **_):
        self.seconds.append(perf_counter() - self.started)


def _trl_steps(b: Bench, repeats: int) -> float:
    """Seconds a step of TRL's own rollout, loss and loop; its reward function runs Hugging Face beams."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from trl import GRPOConfig, GRPOTrainer

    core = Tokenizer(models.WordLevel({f"t{i}": i for i in range(int(b.ids.max()) + 1)}, unk_token="t0"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="t0", eos_token="t1", padding_side="left")
    seconds: list[float] = []

    def reward(prompts, completion_ids, **_) -> list[float]:
        started = perf_counter()
        rows = [
            tokenizer(p, add_special_tokens=False).input_ids + c for p, c in zip(prompts, completion_ids, strict=True)
        ]
        lists = hf_beams(trainer.model.eval(), rows, b.ids, BEAMS)
        trainer.model.train()
        seconds.append(perf_counter() - started)
        return [float(lists[i][0][0]) + i % GROUP for i in range(len(lists))]

    with tempfile.TemporaryDirectory() as folder:
        backbones.save(folder, b.model, tokenizer)
        args = GRPOConfig(
            output_dir=folder,
            num_generations=GROUP,
            max_steps=repeats + 1,
            shuffle_dataset=False,
            report_to="none",
            per_device_train_batch_size=len(b.prompts) * GROUP,
            max_completion_length=REASONING,
            loss_type="grpo",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            learning_rate=1e-5,
            disable_tqdm=True,
            logging_strategy="no",
            generation_kwargs={"min_new_tokens": REASONING},
        )
        text = [" ".join(f"t{i}" for i in p) for p in b.prompts]
        clock = _Clock()
        trainer = GRPOTrainer(
            model=folder,
            args=args,
            processing_class=tokenizer,
            reward_funcs=reward,
            callbacks=[clock],
            train_dataset=Dataset.from_dict({"prompt": text}),
        )
        trainer.train()
    return median(clock.seconds[1:])


# -- semantic IDs and the trie ---------------------------------------------------------------------


def sid(n: int = 1_000_000, dim: int = 384, codes: int = 64, repeats: int = 1) -> list[Row]:
    """Residual K-means against the bare faiss calls, same settings. Three layers."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4 * codes, dim), dtype=np.float32)[rng.integers(0, 4 * codes, n)]
    x += 0.5 * rng.standard_normal((n, dim), dtype=np.float32)
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        found["ours"] = ResidualKMeans((codes,) * 3, seed=0).fit_encode(x)

    def raw() -> None:
        residual, layers = x, []
        for seed in range(3):
            kmeans = faiss.Kmeans(dim, codes, seed=seed, **KMEANS, max_points_per_centroid=n)
            kmeans.train(residual)
            nearest = kmeans.index.search(residual, 1)[1][:, 0]
            residual = residual - kmeans.centroids[nearest]
            layers.append(nearest)
        found["raw"] = np.stack(layers, 1)

    seconds = [(timed(ours)(), timed(raw)()) for _ in range(repeats)]  # minutes each: no warm-up needed
    times = median(a for a, _ in seconds), median(s for _, s in seconds)
    same = float((found["ours"] == found["raw"]).all(1).mean())
    return [
        Row(f"residual K-means, {n:,} x {dim}, 3 x {codes}", *times, 1 / 1.1, f"codes equal for {same:.4%} of the rows")
    ]


def trie(sizes: tuple[int, ...] = (1_000, 100_000, 10_000_000), repeats: int = 20) -> list[Row]:
    """One beam step, model and all, at growing catalogues; "stock" is the smallest of them."""
    rng, rows = np.random.default_rng(0), []
    for n in sizes:
        rows.append(_beam_step(n, repeats, rng, rows[0].ours if rows else None))
    return rows


def _beam_step(n: int, repeats: int, rng: np.random.Generator, smallest: float | None) -> Row:
    """The row of a catalogue of `n` items; `smallest`: seconds of the smallest one, None for that one itself."""
    ids = random_catalogue(n, 256, rng) + WORDS
    torch.manual_seed(0)
    model = backbones.tiny_model(get_profile("laptop"), WORDS + 4 * 256 + 256).eval()
    started = perf_counter()
    built = Trie.build(ids)
    seconds = perf_counter() - started
    megabytes = sum(t.numel() * t.element_size() for t in (built.first, built.token, built.item)) / 1e6
    prompts = [rng.integers(4, WORDS, size=PROMPT).tolist() for _ in range(4)]

    def search() -> float:
        drawn = sample(plant(model, prompts, PAD), GROUP, END, 4, 1.0, torch.Generator().manual_seed(0))
        return timed(lambda: beam_search(drawn.tree, built, BEAMS))() / built.depth

    one = median([search() for _ in range(repeats + 2)][2:])
    some = torch.from_numpy(ids[rng.integers(0, n, size=len(prompts) * GROUP * BEAMS)])
    nodes = [built.walk(some[:, :level]) for level in range(built.depth)]
    levels = timed(lambda: [built.children(node, level) for level, node in enumerate(nodes)])
    lookup = median([levels() for _ in range(repeats)]) / built.depth
    note = f"built in {seconds:.1f} s, {megabytes:.1f} MB, look-up alone {lookup * 1e6:.0f} us, "
    note += f"widest node by level {built.widest}"
    return Row(f"beam step, {n:,} items", one, smallest or one, 1 / 1.2, note)


ALL: dict[str, Callable[[], list[Row]]] = {
    "beam": beam, "rollout": rollouts, "step": step, "trie": trie, "sid": sid, "pretrained": pretrained.steps,
}  # fmt: skip
