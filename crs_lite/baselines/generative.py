"""DSI and LTRGR: generative retrieval that reads the query alone. Neither reasons, neither knows the shopper.

DSI (Tay et al. 2022). Kept: one model maps a query to the ID of an item, having learnt the items' texts under the same
IDs; beams decode. Dropped: its own IDs (ours are the residual K-means ones, the same for every system) and the T5
backbone. Its training is `sft.train` on contexts that hold nothing but the query (`no_context`).

LTRGR (Li et al. 2024). Kept: a second phase in which the model ranks its own beams: the target's score must exceed that
of a wrong beam by a margin, once for the best wrong one and once for a random one, with the generation loss beside it.
Dropped: passages and their n-gram identifiers, for an item has one ID; lists are those of the start of the phase.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import relu
from tqdm import tqdm
from transformers import PreTrainedModel

from crs_lite.decode import at_least_float32, left_pad
from crs_lite.logs import SearchRequest
from crs_lite.ranker import CRSRanker
from crs_lite.tasks import Codec
from crs_lite.unfinished import Keeper, finite

HIDDEN = frozenset({"profile", "history", "place", "time", "entrance"})


def no_context(codec: Codec, context: dict) -> Codec:
    """The same log, IDs and tokenizer, with prompts that hold the query only."""
    return Codec(codec.log, codec.sids, codec.tokenizer, {**context, "hide": HIDDEN})


def id_logprob(model: PreTrainedModel, prompts: list[list[int]], ids: torch.Tensor, pad: int) -> torch.Tensor:
    """log P(ID | prompt), with gradient: B prompts (ending behind `</think>`), ids `(B, 4)` -> `(B,)`."""
    head, real = left_pad(prompts, pad, ids.device)
    tokens = torch.cat([head, ids], dim=1)
    mask = torch.cat([real, torch.ones_like(ids, dtype=torch.bool)], dim=1)
    position = (mask.cumsum(-1) - 1).clamp(min=0)
    depth = ids.shape[1]
    out = model(
        input_ids=tokens, attention_mask=mask.long(), position_ids=position, use_cache=False, logits_to_keep=depth + 1
    )
    logits = at_least_float32(out.logits[:, :-1])
    return (logits.gather(-1, ids[..., None])[..., 0] - logits.logsumexp(-1)).sum(-1)


def margin_losses(
    right: torch.Tensor, best_wrong: torch.Tensor, random_wrong: torch.Tensor, margin: float
) -> torch.Tensor:
    """LTRGR's two ranking losses, summed: scores `(B,)` -> scalar. 0 when the target leads both by the margin."""
    return (relu(best_wrong - right + margin) + relu(random_wrong - right + margin)).mean()


def rank_own_beams(
    model: PreTrainedModel,
    codec: Codec,
    requests: Sequence[SearchRequest],
    *,
    lr: float,
    seed: int,
    beams: int = 10,
    batch: int = 64,
    margin: float = 1.0,
    generation: float = 1.0,
    keeper: Keeper | None = None,
) -> list[dict[str, float]]:
    """LTRGR's second phase, in place: one pass over `requests`. Returns loss and violations a step. `keeper`:
    keeps the state between steps, and loads what a killed run left."""
    rng = np.random.default_rng(seed)
    sid = torch.as_tensor(codec.sid_ids, device=model.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    parts = {"model": model, "optimizer": optimizer, "order": rng}
    if found := keeper and keeper.load(parts):
        lists, order, history = found
    else:
        lists = CRSRanker("own beams", model, codec, "none", batch=batch).rank(requests, beams).tolist()
        order, history = rng.permutation(len(requests)).tolist(), []
    model.train()
    for start in tqdm(range(len(history) * batch, len(order), batch), desc="LTRGR", mininterval=5):
        rows = order[start : start + batch]
        prompts = [[*codec.prompt(requests[i]), codec.end_think] for i in rows]
        target = [requests[i].target for i in rows]
        wrong = [[item for item in lists[i] if item >= 0 and item != t] for i, t in zip(rows, target, strict=True)]
        best, other = [w[0] for w in wrong], [int(rng.choice(w)) for w in wrong]
        scores = id_logprob(model, prompts * 3, sid[[*target, *best, *other]], codec.pad)
        right, best_wrong, random_wrong = scores.view(3, -1)
        ranking = margin_losses(right, best_wrong, random_wrong, margin)
        loss = ranking - generation * right.mean() / sid.shape[1]
        finite(loss, "LTRGR", len(history))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        violations = float((best_wrong > right).float().mean())
        history.append({"loss": loss.item(), "ranking": ranking.item(), "violations": violations})
        if keeper:
            keeper.save(parts, (lists, order, history))
    model.eval()
    return history
