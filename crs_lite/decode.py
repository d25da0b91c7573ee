"""Two-step inference: sample reasoning up to `</think>`, then search the catalogue with beams along the trie.

Everything after a prompt is a *tree* that grows in the sequence dimension. One row of the batch is one prompt; its
G trajectories, and the K beams of each of them, are further columns of the same row, and an attention mask lets each
column see the prompt and its own ancestors, nothing else. So the prompt is computed once, no cache row is ever
copied, and beams continue exactly where their trajectory stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from crs_lite.errors import CRSError
from crs_lite.trie import Trie


def at_least_float32(x: torch.Tensor) -> torch.Tensor:
    """Half precision is for the layers; probabilities of whole IDs are compared in float32 or better."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class RoomyLayer(DynamicLayer):
    """A cache layer with room to grow: the stock one copies everything it holds at every new token."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values `(B, H, new, d)` -> all so far `(B, H, L, d)`, views of the room."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._room = key_states.new_empty(2, *key_states.shape[:2], 0, key_states.shape[-1])
        old = self.get_seq_length()
        new = old + key_states.shape[-2]
        if new > self._room.shape[-2]:
            room = self._room.new_empty(*self._room.shape[:3], new + max(64, new // 2), self._room.shape[-1])
            room[..., :old, :] = self._room[..., :old, :]
            self._room = room
        self._room[0, :, :, old:new], self._room[1, :, :, old:new] = key_states, value_states
        self.keys, self.values = self._room[0, :, :, :new], self._room[1, :, :, :new]
        return self.keys, self.values


def empty_cache(model: PreTrainedModel) -> DynamicCache:
    """A key-value cache whose layers have room to grow."""
    cache = DynamicCache(config=model.config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


@dataclass
class Tree:
    """State of a growing batch of trees: B prompts, Q open branches each.

    logits `(B, Q, V)` of the next token of every branch; visible `(B, Q, L)` which of the L columns so far a branch
    may see; position `(B, Q)` of its next token.
    """

    model: PreTrainedModel
    cache: DynamicCache
    logits: torch.Tensor
    visible: torch.Tensor
    position: torch.Tensor

    def feed(self, token: torch.Tensor, visible: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Append one column per branch: token, position `(B, Q)`, visible `(B, Q, L)` -> next logits `(B, Q, V)`."""
        b, q = token.shape
        itself = torch.eye(q, dtype=torch.bool, device=token.device).expand(b, q, q)
        self.visible = torch.cat([visible, itself], dim=-1)
        out = self.model(
            input_ids=token,
            attention_mask=self.visible[:, None],
            position_ids=position,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.position = position + 1
        return at_least_float32(out.logits)


def left_pad(prompts: Sequence[Sequence[int]], pad: int, device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ragged prompts -> ids, mask `(B, P)`, padded on the left so that all prompts end in the same column."""
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device).bool()
    return ids, mask


@torch.no_grad()
def plant(model: PreTrainedModel, prompts: Sequence[Sequence[int]], pad: int) -> Tree:
    """Compute every prompt once; one open branch per prompt."""
    ids, mask = left_pad(prompts, pad, model.device)
    position = (mask.cumsum(-1) - 1).clamp(min=0)
    causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device).tril()
    # A padding column may see itself, or its softmax would be over nothing.
    see = (causal & mask[:, None]) | torch.eye(ids.shape[1], dtype=torch.bool, device=ids.device)
    cache = empty_cache(model)
    out = model(
        input_ids=ids, attention_mask=see[:, None], position_ids=position, past_key_values=cache, use_cache=True,
        logits_to_keep=1,
    )  # fmt: skip
    return Tree(model, cache, at_least_float32(out.logits), mask[:, None].clone(), position[:, -1:] + 1)


@dataclass
class Trajectories:
    """G sampled continuations per prompt. `token`, `logprob` and `mask` are `(B, G, T)`; mask marks real tokens.

    `closed (B, G)`: the model ended by itself; where it did not, the last token was forced.
    """

    token: torch.Tensor
    mask: torch.Tensor
    logprob: torch.Tensor
    closed: torch.Tensor
    tree: Tree = field(repr=False)

    @property
    def chosen(self) -> torch.Tensor:
        """`(B, G, T)`: the tokens the model chose: all real ones but a forced end. What is forced is no action."""
        return chosen(self.mask, self.closed)

    def rows(self, b: int, g: int) -> list[int]:
        """The real tokens of one trajectory."""
        return self.token[b, g][self.mask[b, g]].tolist()


def chosen(mask: torch.Tensor, closed: torch.Tensor) -> torch.Tensor:
    """mask `(B, G, T)` of real tokens, closed `(B, G)` -> mask without the last real token where it was forced."""
    last = torch.arange(mask.shape[-1], device=mask.device) == mask.sum(-1, keepdim=True) - 1
    return mask & (closed[..., None] | ~last)


def draw(logits: torch.Tensor, temperature: float, generator: torch.Generator | None) -> torch.Tensor:
    """One token per row of logits `(..., V)`: the likeliest at temperature 0, else sampled by inverting the cumulative
    distribution (`torch.multinomial` draws V random numbers a token, which cost a fifth of a rollout)."""
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = (logits / temperature).softmax(-1).cumsum(-1, dtype=torch.float64)
    u = torch.rand((*logits.shape[:-1], 1), generator=generator, device=logits.device, dtype=torch.float64)
    return torch.searchsorted(cumulative, u * cumulative[..., -1:], right=True)[..., 0].clamp(max=logits.shape[-1] - 1)


@torch.no_grad()
def sample(
    tree: Tree, group: int, end: int, max_new: int, temperature: float, generator: torch.Generator | None = None
) -> Trajectories:
    """Grow `group` branches from every prompt until each has produced the token `end` (at most `max_new` tokens).

    temperature 0 is greedy. A branch still open at `max_new` is closed by force with `end`. Log-probabilities are of
    the untempered full-vocabulary distribution. Afterwards the tree stands behind `end` on every branch.
    """
    b = tree.logits.shape[0]
    tree.logits = tree.logits.expand(b, group, -1)
    visible = tree.visible.expand(b, group, -1)
    position = tree.position.expand(b, group)
    alive = torch.ones(b, group, dtype=torch.bool, device=visible.device)
    closed = torch.zeros_like(alive)
    last = torch.zeros_like(tree.logits)  # logits behind `end`, collected as branches finish
    tokens, masks, logprobs = [], [], []
    for step in range(max_new):
        logp = tree.logits.log_softmax(-1)
        token = draw(tree.logits, temperature, generator)
        if step == max_new - 1:
            token = torch.full_like(token, end)
        else:
            closed |= alive & (token == end)
        tokens.append(token)
        masks.append(alive)
        logprobs.append(logp.gather(-1, token[..., None])[..., 0])
        ends = alive & (token == end)
        tree.logits = tree.feed(token, visible, position)
        # Columns fed for branches that are already done are computed, but never seen by anything.
        visible = torch.cat([visible, torch.diag_embed(alive)], dim=-1)
        position = position + alive.long()
        last = torch.where(ends[..., None], tree.logits, last)
        alive = alive & ~ends
        if not alive.any():
            break
    tree.visible, tree.position, tree.logits = visible, position, last
    mask = torch.stack(masks, -1)
    return Trajectories(torch.stack(tokens, -1), mask, torch.stack(logprobs, -1) * mask, closed, tree)


@torch.no_grad()
def force(tree: Tree, texts: Sequence[Sequence[int]], pad: int) -> Tree:
    """Append one given continuation per prompt (say, another's reasoning) instead of a sampled one."""
    width = max(map(len, texts))
    b = len(texts)
    device = tree.logits.device
    token = torch.tensor([list(t) + [pad] * (width - len(t)) for t in texts], device=device)
    real = torch.tensor([[1] * len(t) + [0] * (width - len(t)) for t in texts], device=device).bool()
    causal = torch.ones(width, width, dtype=torch.bool, device=device).tril().expand(b, width, width)
    itself = torch.eye(width, dtype=torch.bool, device=device)
    visible = torch.cat([tree.visible.expand(b, width, -1), (causal & real[:, None]) | itself], dim=-1)
    position = tree.position + torch.arange(width, device=device)
    out = tree.model(
        input_ids=token, attention_mask=visible[:, None], position_ids=position, past_key_values=tree.cache,
        use_cache=True,
    )  # fmt: skip
    last = real.sum(-1) - 1
    rows = torch.arange(b, device=device)
    tree.logits = at_least_float32(out.logits[rows, last])[:, None]
    tree.visible = torch.cat([tree.visible, real[:, None]], dim=-1)
    tree.position = position[rows, last][:, None] + 1
    return tree


def top_in_order(x: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k largest of x `(..., n)`, of equal ones the first, in their order in x: values, indices `(..., k)`.

    (`torch.topk` breaks ties as it likes, and differently for another k.)
    """
    smallest = x.topk(k, dim=-1).values[..., -1:]
    above, level = x > smallest, x == smallest
    room = k - above.sum(-1, keepdim=True)
    keep = above | (level & (level.cumsum(-1) <= room))
    index = keep.nonzero()[:, -1].view(*x.shape[:-1], k)
    return x.gather(-1, index), index


@torch.no_grad()
def beam_search(tree: Tree, trie: Trie, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k best catalogue items of every open branch, by exact log-probability of the whole ID.

    -> items, scores `(B, G, k)`, best first; -1 and -inf where the catalogue holds fewer than k items. Scores are
    full-vocabulary log-probabilities, not renormalised over the allowed tokens. Equal scores stand in the order of the
    trie, whatever k is. Uses up the tree. Raises `CRSError` when the logits are not finite.
    """
    if not torch.isfinite(tree.logits).all():
        raise CRSError("the model's scores are not finite numbers; its weights are damaged: train or fetch it again.")
    b, g, _ = tree.logits.shape
    device = tree.logits.device
    node = torch.zeros(b, g, 1, dtype=torch.long, device=device)
    score = torch.zeros(b, g, 1, device=device, dtype=tree.logits.dtype)
    logits = tree.logits.unsqueeze(2)  # (B, G, beams, V)
    visible, position = tree.visible.unsqueeze(2), tree.position.unsqueeze(2)
    for level in range(trie.depth):
        token, child, exists = trie.children(node, level)  # (B, G, beams, W)
        logp = logits.gather(-1, token) - logits.logsumexp(-1, keepdim=True)
        total = (score.unsqueeze(-1) + logp).masked_fill(~exists, -torch.inf).flatten(2)
        keep = min(k, total.shape[-1])
        score, best = top_in_order(total, keep)  # beams stay in the order of the trie
        parent = best // token.shape[-1]
        node = child.flatten(2).gather(-1, best)
        token = token.flatten(2).gather(-1, best)
        if level == trie.depth - 1:
            break
        visible = visible.gather(2, parent.unsqueeze(-1).expand(-1, -1, -1, visible.shape[-1])).flatten(1, 2)
        position = position.gather(2, parent).flatten(1, 2)
        logits = tree.feed(token.flatten(1, 2), visible, position).view(b, g, keep, -1)
        visible, position = tree.visible.view(b, g, keep, -1), tree.position.view(b, g, keep)
    score, order = score.sort(dim=-1, descending=True, stable=True)
    items = trie.items(node.gather(-1, order)).masked_fill(score == -torch.inf, -1)
    missing = k - items.shape[-1]
    if missing > 0:
        items = torch.nn.functional.pad(items, (0, missing), value=-1)
        score = torch.nn.functional.pad(score, (0, missing), value=-torch.inf)
    return items, score
