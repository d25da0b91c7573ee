"""The prefix trie of the catalogue: which token may follow which prefix of a semantic ID.

Stored as a CSR table (three flat arrays), so ten million items need no Python objects, and one step of a beam
costs the number of children of its node, whatever the size of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from transformers import LogitsProcessor

from .errors import CRSError


@dataclass(frozen=True)
class Trie:
    """Nodes are numbered level by level; node 0 is the root. All IDs have the same depth `D`.

    `first (n_inner + 1,)`: children of inner node v are the edges `first[v] : first[v + 1]`.
    `token (n_edges,)`: the token on the edge; edge e leads to node e + 1, so that needs no table.
    `item (N,)`: the catalogue item of every leaf, in the order of the leaves. All int32: 10 million items take about 140 MB.
    """

    first: torch.Tensor
    token: torch.Tensor
    item: torch.Tensor
    widest: tuple[int, ...]  # most children of a node, per level

    @property
    def depth(self) -> int:
        return len(self.widest)

    @classmethod
    def build(cls, ids: np.ndarray) -> Trie:
        """From token ids `(N, D)`, row = item. Raises `CRSError` when two items share an ID."""
        n, depth = ids.shape
        order = np.lexsort(ids.T[::-1])
        rows = ids[order]
        # differs[r, l]: sorted row r opens a new node at level l + 1, for it differs somewhere in its first l + 1 tokens.
        differs = np.ones((n, depth), dtype=bool)
        differs[1:] = np.logical_or.accumulate(rows[1:] != rows[:-1], axis=1)
        if not differs[:, -1].all():
            row = int(np.flatnonzero(~differs[:, -1])[0])
            raise CRSError(f"items {order[row - 1]} and {order[row]} share one semantic ID; rebuild the IDs.")
        token, n_children = [], []
        above = np.zeros(n, dtype=np.int64)  # number, within its level, of the node above each row
        for level in range(depth):
            opens = differs[:, level]
            token.append(rows[opens, level])
            n_children.append(np.bincount(above[opens]))
            above = np.cumsum(opens) - 1
        first = np.concatenate([[0], np.cumsum(np.concatenate(n_children))])
        tensors = [torch.from_numpy(a.astype(np.int32)) for a in (first, np.concatenate(token), order)]
        return cls(*tensors, tuple(int(c.max()) for c in n_children))

    def to(self, device: torch.device | str) -> Trie:
        return Trie(self.first.to(device), self.token.to(device), self.item.to(device), self.widest)

    def children(self, node: torch.Tensor, level: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Children of nodes of one level.

        node `(...)` -> token, child, exists, each `(..., W)` with W the widest node of that level.
        """
        node = node.clamp(max=len(self.first) - 2)  # dead beams may stand anywhere; what they find is never used
        start, stop = self.first[node].unsqueeze(-1), self.first[node + 1].unsqueeze(-1)
        edge = start.long() + torch.arange(self.widest[level], device=node.device)
        exists = edge < stop
        edge = edge.clamp(max=len(self.token) - 1)
        return self.token[edge].long(), edge + 1, exists

    def items(self, leaf: torch.Tensor) -> torch.Tensor:
        """The catalogue items of leaf nodes `(...)` -> `(...)`."""
        return self.item[(leaf - (len(self.first) - 1)).clamp(min=0)].long()

    def walk(self, tokens: torch.Tensor) -> torch.Tensor:
        """The node behind each row of tokens `(R, m)`, m <= D: `(R,)`, -1 where no item's ID begins like this."""
        node = torch.zeros(len(tokens), dtype=torch.long, device=tokens.device)
        for level in range(tokens.shape[1]):
            token, child, exists = self.children(node.clamp(min=0), level)
            hit = exists & (token == tokens[:, level, None]) & (node >= 0)[:, None]
            node = torch.where(hit.any(-1), (child * hit).sum(-1), -1)
        return node


class CatalogueLogits(LogitsProcessor):
    """For plain `model.generate`, beams and sampling alike: behind a marker, only IDs of the catalogue, then `eos`.

    `marker` is the token behind which IDs begin (say `</think>`); without one they begin behind `prompt_length` tokens.
    Rows that have not reached the marker are free. Where an ID ends, and on rows that left the catalogue
    (Hugging Face keeps dead beams), only `eos` may follow.
    """

    def __init__(self, trie: Trie, eos: int, *, prompt_length: int | None = None, marker: int | None = None):
        if (prompt_length is None) == (marker is None):
            raise CRSError("CatalogueLogits: say where IDs begin, by `prompt_length` or by `marker`, one of the two.")
        self.trie, self.eos, self.prompt_length, self.marker = trie, eos, prompt_length, marker

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """input_ids `(R, L)`, scores `(R, V)` -> scores with -inf where the catalogue forbids."""
        rows, length = input_ids.shape
        if self.marker is None:
            since = torch.full((rows,), length - self.prompt_length, device=input_ids.device)
        else:  # tokens since the last marker; -1 where there is none
            seen = input_ids == self.marker
            since = torch.where(seen.any(1), seen.flip(1).int().argmax(1), -1)
        allowed = (since < 0)[:, None].expand_as(scores).clone()
        allowed[since >= self.trie.depth, self.eos] = True
        for level in range(self.trie.depth):
            here = (since == level).nonzero()[:, 0]
            if len(here):
                node = self.trie.walk(input_ids[here, length - level :])
                token, _, exists = self.trie.children(node.clamp(min=0), level)
                exists &= (node >= 0)[:, None]
                row = here[:, None].expand_as(token)
                allowed[row[exists], token[exists]] = True
                allowed[here[node < 0], self.eos] = True
        return scores.masked_fill(~allowed, -torch.inf)


def prefix_allowed_tokens_fn(ids: np.ndarray, prompt_length: int) -> Callable[[int, torch.Tensor], list[int]]:
    """The same constraint the stock way, as a Python function over nested dictionaries for Hugging Face `generate`.

    Shares nothing with `Trie`: it is the referee in tests and the baseline in benchmarks.
    """
    root: dict = {}
    for row in ids.tolist():
        node = root
        for token in row:
            node = node.setdefault(token, {})

    def allowed(_batch: int, sequence: torch.Tensor) -> list[int]:
        node = root
        for token in sequence[prompt_length:].tolist():
            node = node.get(token, {})
        return list(node) or [0]

    return allowed
