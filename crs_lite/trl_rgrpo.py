"""R-GRPO inside TRL's `GRPOTrainer`, by its public interface: our rollout, our reward, TRL's loss and training loop.

A completion is reasoning only. The rollout function samples a group per prompt on the tree, searches the catalogue
behind every trajectory and hands the lists to the reward function as extra columns. Use:

    args = GRPOConfig(num_generations=8, per_device_train_batch_size=128, max_completion_length=64, beta=0.0, ...)
    trainer = GRPOTrainer(
        model=model, args=args, processing_class=tokenizer, train_dataset=dataset(codec, requests),
        rollout_func=RGRPORollout(tokenizer, trie, vocab, config), reward_funcs=list_reward(vocab, config),
    )
    trainer.train()

With `use_vllm=True` in the arguments (a GPU box; TRL says what to install and keeps its weights in step), vLLM samples
the reasoning and only the beams are ours. Give it `generation_kwargs={"stop_token_ids": [vocab.end_think]}`. That path
is written for TRL 1.16.0, which asks for vLLM 0.22.0 to 0.31.0. It is tested with TRL's own code around a stand-in for
vLLM's `LLM`; with vLLM itself it was never run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel

from crs_lite.decode import Tree, beam_search, force, plant, sample
from crs_lite.errors import CRSError
from crs_lite.logs import SearchRequest
from crs_lite.rewards import total_reward
from crs_lite.rl import RLConfig, Vocabulary, list_parts
from crs_lite.tasks import Codec
from crs_lite.trie import Trie


def dataset(codec: Codec, requests: Sequence[SearchRequest]) -> Dataset:
    """Columns `prompt` (text that tokenizes to the codec's prompt) and `target` (item id)."""
    return Dataset.from_dict(
        {"prompt": [codec.decode(codec.prompt(r)) for r in requests], "target": [r.target for r in requests]}
    )


class RGRPORollout:
    """TRL's `rollout_func`: G trajectories per prompt from one computed prompt, then beams from each.

    TRL passes each prompt G times in a row; in evaluation G may be another number. Raises `CRSError` where a batch cuts
    a group in two.
    """

    def __init__(self, tokenizer, trie: Trie, vocab: Vocabulary, config: RLConfig, seed: int = 0):
        self.tokenizer, self.trie, self.vocab, self.config, self.seed = tokenizer, trie, vocab, config, seed
        self.generator: torch.Generator | None = None

    def __call__(self, prompts: list[str], trainer) -> dict[str, list]:
        training = trainer.model.training
        g = self.config.group if training else getattr(trainer, "num_generations_eval", self.config.group)
        once = prompts[::g]
        if prompts != [p for p in once for _ in range(g)]:
            budget = f"per_device_{'train' if training else 'eval'}_batch_size"
            raise CRSError(f"this batch does not hold whole groups of {g}; make {budget} a multiple of {g}.")
        model = trainer.accelerator.unwrap_model(trainer.model)
        was_training = model.training
        model.eval()  # in training mode with gradient checkpointing the cache would be lost
        ids = [self.tokenizer(p, add_special_tokens=False).input_ids for p in once]
        sampled = self._by_vllm if getattr(trainer, "use_vllm", False) else self._by_tree
        completions, logprobs, closed, tree = sampled(model, ids, trainer, g)
        items, _ = beam_search(tree, self.trie.to(model.device), self.config.beams)
        model.train(was_training)
        return {
            "prompt_ids": [p for p in ids for _ in range(g)],
            "completion_ids": completions,
            "logprobs": logprobs,
            "ranked": items.flatten(0, 1).tolist(),
            "closed": closed,
            # A forced end is no action: it carries no loss.
            "env_mask": [[1] * (len(c) - 1) + [int(done)] for c, done in zip(completions, closed, strict=True)],
        }

    def _by_tree(self, model: PreTrainedModel, ids: list[list[int]], trainer, g: int) -> tuple[list, list, list, Tree]:
        self.generator = self.generator or torch.Generator(model.device).manual_seed(self.seed)
        c = self.config
        drawn = sample(
            plant(model, ids, self.vocab.pad),
            g,
            self.vocab.end_think,
            c.max_reasoning,
            c.temperature,
            self.generator,
        )
        each = [(b, branch) for b in range(len(ids)) for branch in range(g)]
        logprobs = [drawn.logprob[one][drawn.mask[one]].tolist() for one in each]
        return [drawn.rows(*one) for one in each], logprobs, drawn.closed.flatten().tolist(), drawn.tree

    def _by_vllm(self, model: PreTrainedModel, ids: list[list[int]], trainer, g: int) -> tuple[list, list, list, Tree]:
        end, rows = self.vocab.end_think, [p for p in ids for _ in range(g)]
        _, texts, scores, _ = trainer.vllm_generation.generate(prompts=rows, images=None, num_generations=g)
        closed = [end in text for text in texts]
        # Cut behind `</think>`; where there is none, close by force, with an unknown probability.
        completions = [
            t[: t.index(end) + 1] if done else [*t[: self.config.max_reasoning - 1], end]
            for t, done in zip(texts, closed, strict=True)
        ]
        logprobs = [
            ([s[0] for s in score] + [float("nan")])[: len(text)]
            for score, text in zip(scores, completions, strict=True)
        ]
        return completions, logprobs, closed, force(plant(model, rows, self.vocab.pad), completions, self.vocab.pad)


def list_reward(vocab: Vocabulary, config: RLConfig) -> Callable[..., list[float]]:
    """TRL's reward function: the same parts, with the same weights, as in our own loop."""

    def reward(completion_ids, ranked, closed, target, **_) -> list[float]:
        clean = np.array([not np.isin(ids, [*vocab.sid.ravel(), *vocab.control]).any() for ids in completion_ids])
        tokens = np.array([len(ids) for ids in completion_ids])
        parts = list_parts(np.array(ranked), np.array(target), tokens, np.array(closed), clean, vocab, config)
        return total_reward(parts, config.reward).tolist()

    return reward
