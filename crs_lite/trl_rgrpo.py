"""R-GRPO inside TRL's `GRPOTrainer`, by its public interface: our rollout, our reward, TRL's loss and training loop.

A completion is reasoning only. The rollout function samples a group per prompt on the tree, searches the catalogue
behind every trajectory and hands the lists to the reward function as extra columns. Use:

    args = GRPOConfig(num_generations=8, per_device_train_batch_size=128, max_completion_length=64, beta=0.0, ...)
    trainer = GRPOTrainer(
        model=model, args=args, processing_class=tokenizer, train_dataset=dataset(codec, requests),
        rollout_func=RGRPORollout(tokenizer, trie, vocab, config), reward_funcs=list_reward(vocab, config),
    )
    trainer.train()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from datasets import Dataset

from .decode import beam_search, plant, sample
from .errors import CRSError
from .logs import SearchRequest
from .rewards import total_reward
from .rl import RLConfig, Vocabulary, list_parts
from .tasks import Codec
from .trie import Trie


def dataset(codec: Codec, requests: Sequence[SearchRequest]) -> Dataset:
    """Columns `prompt` (text that tokenizes to the codec's prompt) and `target` (item id)."""
    return Dataset.from_dict({"prompt": [codec.decode(codec.prompt(r)) for r in requests], "target": [r.target for r in requests]})


class RGRPORollout:
    """TRL's `rollout_func`: G trajectories per prompt from one computed prompt, then beams from each.

    TRL passes each prompt G times in a row. Raises `CRSError` where a batch cuts a group in two.
    """

    def __init__(self, tokenizer, trie: Trie, vocab: Vocabulary, config: RLConfig, seed: int = 0):
        self.tokenizer, self.trie, self.vocab, self.config, self.seed = tokenizer, trie, vocab, config, seed
        self.generator: torch.Generator | None = None

    def __call__(self, prompts: list[str], trainer) -> dict[str, list]:
        g = self.config.group
        once = prompts[::g]
        if prompts != [p for p in once for _ in range(g)]:
            raise CRSError(f"this batch does not hold whole groups of {g}; make per_device_train_batch_size a multiple of {g}.")
        model = trainer.accelerator.unwrap_model(trainer.model)
        self.generator = self.generator or torch.Generator(model.device).manual_seed(self.seed)
        was_training = model.training
        model.eval()  # in training mode with gradient checkpointing the cache would be lost
        ids = [self.tokenizer(p, add_special_tokens=False).input_ids for p in once]
        tree = plant(model, ids, self.vocab.pad)
        drawn = sample(tree, g, self.vocab.end_think, self.config.max_reasoning, self.config.temperature, self.generator)
        items, _ = beam_search(drawn.tree, self.trie.to(model.device), self.config.beams)
        model.train(was_training)
        each = [(b, i) for b in range(len(once)) for i in range(g)]
        return {
            "prompt_ids": [ids[b] for b, _ in each],
            "completion_ids": [drawn.rows(b, i) for b, i in each],
            "logprobs": [drawn.logprob[b, i][drawn.mask[b, i]].tolist() for b, i in each],
            "ranked": [items[b, i].tolist() for b, i in each],
            "closed": [bool(drawn.closed[b, i]) for b, i in each],
        }


def list_reward(vocab: Vocabulary, config: RLConfig) -> Callable[..., list[float]]:
    """TRL's reward function: the same parts, with the same weights, as in our own loop."""

    def reward(completion_ids, ranked, closed, target, **_) -> list[float]:
        clean = np.array([not np.isin(ids, vocab.sid).any() for ids in completion_ids])
        tokens = np.array([len(ids) for ids in completion_ids])
        parts = list_parts(np.array(ranked), np.array(target), tokens, np.array(closed), clean, vocab, config)
        return total_reward(parts, config.reward).tolist()

    return reward
