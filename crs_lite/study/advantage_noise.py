"""Why GRPO is noisy: the same reasoning judged twice by a sampled ID gets two advantages; by beams it gets one.

Our choice of measurement, for the claim of method section 7. A trajectory's advantage should say how good its reasoning
is. We hold the reasoning fixed, draw its ID again and again, and split the variance of the advantage into what comes
from the reasoning and what comes from the draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from transformers import PreTrainedModel

from crs_lite import rewards as R
from crs_lite.decode import Tree, beam_search, plant, sample
from crs_lite.logs import SearchRequest
from crs_lite.rl import RLConfig, Vocabulary, rank_part, sample_answer
from crs_lite.tasks import Codec
from crs_lite.trie import Trie


def variance_shares(advantage: np.ndarray) -> dict[str, float]:
    """advantage `(M, B, G)`: M judgements of the same B x G trajectories -> mean variances over the trajectories.

    `between`: variance, within a group, of a trajectory's mean advantage (the signal); `within`: variance of a
    trajectory's advantage over its judgements (the noise); `noise_share` = within / (within + between), 0 where both
    are 0. `between` is corrected for the noise that is left in a mean of M.
    """
    m = advantage.shape[0]
    within = float(advantage.var(0, ddof=1).mean()) if m > 1 else 0.0
    between = max(0.0, float(advantage.mean(0).var(-1, ddof=1).mean()) - within / m)
    total = within + between
    return {"between": between, "within": within, "noise_share": within / total if total else 0.0}


@torch.no_grad()
def measure(
    model: PreTrainedModel,
    codec: Codec,
    requests: Sequence[SearchRequest],
    config: RLConfig,
    draws: int,
    seed: int,
    batch: int = 16,
) -> dict[str, dict[str, float]]:
    """Arm -> variance shares of its advantage, its reward's mean, and `silent`: the share of groups without any spread.

    All arms judge the same trajectories. `grpo` draws each trajectory's ID `draws` times; beams give the same list
    however often they are asked, so `rgrpo` and `beam_top1` have no variance within.
    """
    model.eval()
    trie, vocab = Trie.build(codec.sid_ids).to(model.device), Vocabulary.of(codec)
    generator = torch.Generator(model.device).manual_seed(seed)
    hits, lists = [], []
    for start in range(0, len(requests), batch):
        part = requests[start : start + batch]
        target = np.array([r.target for r in part])[:, None]
        drawn = sample(
            plant(model, [codec.prompt(r) for r in part], codec.pad),
            config.group,
            codec.end_think,
            config.max_reasoning,
            config.temperature,
            generator,
        )
        tree = drawn.tree
        here = (tree.logits, tree.visible, tree.position)
        answers = []
        for _ in range(draws):
            answer, _ = sample_answer(_back(tree, *here), vocab.sid.shape[1], config.temperature, generator)
            answers.append(vocab.items_of(answer.cpu().numpy()) == target)
        ranked = beam_search(_back(tree, *here), trie, config.beams)[0].cpu().numpy()
        hits.append(np.stack(answers))  # (M, B, G)
        lists.append((ranked, target))
    reward = {"grpo": np.concatenate(hits, 1).astype(float)}
    for arm in ("rgrpo", "beam_top1"):
        reward[arm] = np.concatenate(
            [rank_part(ranked, target, vocab, replace(config, arm=arm)) for ranked, target in lists]
        )[None]
    out = {}
    for arm, r in reward.items():
        advantage, informative = zip(*(R.group_advantage(x) for x in r), strict=True)
        out[arm] = {
            **variance_shares(np.stack(advantage)),
            "reward": float(r.mean()),
            "silent": float(1 - np.mean(informative)),
        }
    return out


def _back(tree: Tree, logits: torch.Tensor, visible: torch.Tensor, position: torch.Tensor) -> Tree:
    """The tree as it stood, in a cache that has grown since: what was added is seen by nobody."""
    grown = tree.cache.get_seq_length() - visible.shape[-1]
    tree.logits, tree.position = logits, position
    tree.visible = torch.nn.functional.pad(visible, (0, grown), value=False)
    return tree
