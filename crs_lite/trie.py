"""The prefix trie of the catalogue: which token may follow which prefix of a semantic ID.

Stored as a CSR table (three flat arrays), so ten million items need no Python objects, and one step of a beam
costs the number of children of its node, whatever the size of the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from crs_lite.errors import CRSError


@dataclass(frozen=True)
class Trie:
    """Nodes are numbered level by level; node 0 is the root. All IDs have the same depth `D`.

    `first (n_inner + 1,)`: children of inner node v are the edges `first[v] : first[v + 1]`.
    `token (n_edges,)`: the token on the edge; edge e leads to node e + 1, so that needs no table.
    `item (N,)`: the catalogue item of every leaf, in the order of the leaves. All int32: 10 million items take about
    140 MB."""

    first: torch.Tensor
    token: torch.Tensor
    item: torch.Tensor
    widest: tuple[int, ...]  # most children of a node, per level

    @property
    def depth(self) -> int:
        """Tokens of an ID."""
        return len(self.widest)

    @classmethod
    def build(cls, ids: np.ndarray) -> Trie:
        """From token ids `(N, D)`, row = item. Raises `CRSError` when two items share an ID."""
        n, depth = ids.shape
        order = np.lexsort(ids.T[::-1])
        rows = ids[order]
        # differs[r, l]: sorted row r opens a new node at level l + 1, for it differs somewhere in its first l + 1
        # tokens.
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
        """The same trie on another device."""
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
