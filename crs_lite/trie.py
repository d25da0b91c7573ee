"""The prefix trie of the catalogue: which token may follow which prefix of a semantic ID.

Stored as a CSR table (three flat arrays), so ten million items need no Python objects, and one step of a beam
costs the number of children of its node, whatever the size of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from .errors import CRSError


@dataclass(frozen=True)
class Trie:
    """Nodes are numbered level by level; node 0 is the root. All IDs have the same depth `D`.

    `first (n_nodes + 1,)`: children of node v are the edges `first[v] : first[v + 1]`.
    `token (n_edges,)`: the token on the edge; `child (n_edges,)`: the node it leads to.
    `item (n_nodes,)`: the catalogue item of a leaf, -1 elsewhere.
    """

    first: torch.Tensor
    token: torch.Tensor
    child: torch.Tensor
    item: torch.Tensor
    depth: int
    widest: tuple[int, ...]  # most children of a node, per level

    @classmethod
    def build(cls, ids: np.ndarray) -> Trie:
        """From token ids `(N, D)`, row = item. Raises `CRSError` when two items share an ID."""
        n, depth = ids.shape
        order = np.lexsort(ids.T[::-1])
        rows = ids[order]
        # new[l][r] is True when sorted row r opens a new node at level l (it differs somewhere in its first l tokens).
        differs = np.ones((n, depth), dtype=bool)
        differs[1:] = np.logical_or.accumulate(rows[1:] != rows[:-1], axis=1)
        if n > 1 and not differs[:, -1].all():
            row = int(np.flatnonzero(~differs[:, -1])[0])
            raise CRSError(f"items {order[row - 1]} and {order[row]} share one semantic ID; rebuild the IDs.")
        counts = [1] + [int(differs[:, level].sum()) for level in range(depth)]
        offset = np.cumsum([0] + counts)  # first node number of each level
        parent, token, widest = [], [], []
        above = np.zeros(n, dtype=np.int64)
        for level in range(depth):
            opens = differs[:, level]
            parent.append(above[opens] + offset[level])
            token.append(rows[opens, level])
            widest.append(int(np.bincount(above[opens]).max()))
            above = np.cumsum(opens) - 1
        first = np.zeros(offset[-1] + 1, dtype=np.int64)
        np.add.at(first, np.concatenate(parent) + 1, 1)
        item = np.full(offset[-1], -1, dtype=np.int64)
        item[offset[-2] :] = order
        # Edges are grouped by parent in the order of their children, so edge e leads to node e + 1.
        child = np.arange(1, offset[-1], dtype=np.int64)
        tensors = [torch.from_numpy(a) for a in (np.cumsum(first), np.concatenate(token).astype(np.int64), child, item)]
        return cls(*tensors, depth, tuple(widest))

    def to(self, device: torch.device | str) -> Trie:
        moved = (t.to(device) for t in (self.first, self.token, self.child, self.item))
        return Trie(*moved, self.depth, self.widest)

    def children(self, node: torch.Tensor, level: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Children of nodes of one level.

        node `(...)` -> token, child, exists, each `(..., W)` with W the widest node of that level.
        """
        start, stop = self.first[node].unsqueeze(-1), self.first[node + 1].unsqueeze(-1)
        edge = start + torch.arange(self.widest[level], device=node.device)
        exists = edge < stop
        edge = edge.clamp(max=len(self.token) - 1)
        return self.token[edge], self.child[edge], exists

    def prefix_allowed_tokens_fn(self, prompt_length: int) -> Callable[[int, torch.Tensor], list[int]]:
        """The same constraint in the form that Hugging Face `generate` takes; used as a referee in tests."""

        def allowed(_batch: int, sequence: torch.Tensor) -> list[int]:
            node = torch.tensor(0)
            for level, t in enumerate(sequence[prompt_length:].tolist()):
                token, child, exists = self.children(node, level)
                hit = (token == t) & exists
                if not hit.any():
                    return [0]
                node = child[hit][0]
            level = len(sequence) - prompt_length
            if level >= self.depth:
                return [0]
            token, _, exists = self.children(node, level)
            return token[exists].tolist()

        return allowed
