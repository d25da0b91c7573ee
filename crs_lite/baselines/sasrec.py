"""SASRec (Kang & McAuley 2018): what comes next in a shopper's clicks, by causal self-attention. It reads no query.

Differs from the paper: cross-entropy over the whole catalogue in place of one drawn negative (the stronger variant,
Klenitskiy & Vasilev 2023), torch's pre-norm layers, and a token for the beginning, so that a first click can be ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from crs_lite.baselines.topk import top_k
from crs_lite.logs import SearchLog, SearchRequest

BATCH, LR = 128, 1e-3  # the paper's
BEGIN = 0  # the token before the first click, and behind the last one of a shorter row; item i is token i + 1


@dataclass(frozen=True)
class Config:
    """Sizes and budgets. Without `attention` a click sees itself alone, without `positions` there is no order within
    one layer: the two ablations."""

    width: int = 64
    layers: int = 2
    length: int = 50  # the latest clicks that are read
    dropout: float = 0.2
    epochs: int = 40
    attention: bool = True
    positions: bool = True


class SASRec(nn.Module):
    """Tokens -> scores of what comes next, for every place of a row."""

    def __init__(self, n_items: int, config: Config):
        super().__init__()
        self.config = config
        self.token = nn.Embedding(n_items + 1, config.width)
        self.position = nn.Embedding(config.length + 1, config.width)
        sizes = (config.width, 1, config.width, config.dropout)
        layer = nn.TransformerEncoderLayer(*sizes, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, config.layers, nn.LayerNorm(config.width), False)
        for embedding in (self.token, self.position):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens `(B, T)` -> scores `(B, T, N)` of every item; place t has read tokens 0 to t."""
        n = tokens.shape[1]
        x = self.token(tokens)  # (B, T, D)
        if self.config.positions:
            x = x + self.position.weight[:n]
        everything = torch.ones(n, n, dtype=torch.bool)
        hidden = everything.triu(1) if self.config.attention else ~torch.eye(n, dtype=torch.bool)
        return self.layers(x, mask=hidden) @ self.token.weight[1:].T  # the rows that read items also name them


def rows_of(histories: Sequence[Sequence[int]], length: int) -> torch.Tensor:
    """Clicked items, oldest first -> tokens `(B, T)`: the beginning, then the latest `length` of them."""
    kept = [[BEGIN, *(item + 1 for item in list(history)[-length:])] for history in histories]
    out = torch.zeros(len(kept), max(map(len, kept)), dtype=torch.long)
    for row, tokens in enumerate(kept):
        out[row, : len(tokens)] = torch.tensor(tokens)
    return out


def fit(log: SearchLog, config: Config, seed: int) -> tuple[SASRec, list[float]]:
    """Learn the train split: at every place of a shopper's row, the item clicked next. -> (model, loss an epoch)."""
    clicks: dict[int, list[int]] = {}
    for request in log.split("train"):
        clicks.setdefault(request.user, []).append(request.target)
    tokens = rows_of(list(clicks.values()), config.length + 1)  # one more, for the last place's answer
    rng, losses = np.random.default_rng(seed), []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SASRec(len(log.items), config).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=LR, betas=(0.9, 0.98))
        for _ in tqdm(range(config.epochs), desc="SASRec", mininterval=5):
            parts = []
            for rows in np.array_split(rng.permutation(len(tokens)), -(-len(tokens) // BATCH)):
                here = tokens[rows]
                here = here[:, : int((here > 0).sum(1).max()) + 1]
                wanted = here[:, 1:] - 1  # -1 behind the last click, where nothing is asked
                loss = cross_entropy(model(here[:, :-1]).flatten(0, 1), wanted.flatten(), ignore_index=-1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                parts.append(loss.item())
            losses.append(float(np.mean(parts)))
    return model.eval(), losses


class SASRecRanker:
    """Ranks by the score of the next click, from the shopper's clicks before the request."""

    name = "SASRec"

    def __init__(self, log: SearchLog, model: SASRec):
        self.log, self.model = log, model.eval()

    @torch.no_grad()
    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """`(n, k)` item ids, best first; `-1` pads catalogues of fewer than k items."""
        length, lists = self.model.config.length, []
        for r in requests:
            past = [i for h in self.log.history(r, length) for i in h.clicked[:1]]
            lists.append(top_k(self.model(rows_of([past], length))[0, -1].numpy(), k))
        return np.stack(lists)
