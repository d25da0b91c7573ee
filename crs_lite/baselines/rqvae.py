"""RQ-VAE, the usual alternative to residual K-means (Zeghidour et al. 2021; for item IDs Rajput et al. 2023, TIGER).

An encoder, a residual quantiser whose codebooks learn by gradient, a decoder. The paper avoids it for large catalogues:
it has to be trained, and codebooks may collapse. It stands here to be compared.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import mse_loss
from tqdm import tqdm

from crs_lite.errors import CRSError
from crs_lite.files import read_json, write_json
from crs_lite.sid.kmeans import SIZES, ResidualKMeans, _matrix


class RQVAE:
    """`fit` and `encode` as `ResidualKMeans` has them; codes come from a learnt space of `latent` dimensions.

    `kmeans_init`: codebooks begin as residual K-means of the untrained latents. Without it they begin at random,
    and most codes are never used: codebook collapse.
    """

    kind = "rqvae"

    def __init__(
        self,
        sizes: tuple[int, ...] = SIZES,
        seed: int = 0,
        latent: int = 32,
        hidden: int = 256,
        epochs: int = 300,
        lr: float = 1e-3,
        batch: int = 256,
        commitment: float = 0.25,
        kmeans_init: bool = True,
    ):
        self.about = dict(
            sizes=tuple(sizes),
            seed=seed,
            latent=latent,
            hidden=hidden,
            epochs=epochs,
            lr=lr,
            batch=batch,
            commitment=commitment,
            kmeans_init=kmeans_init,
        )
        self.sizes, self.net = tuple(sizes), None

    def _build(self, d: int) -> nn.Module:
        a = self.about
        net = nn.Module()
        net.encoder = nn.Sequential(nn.Linear(d, a["hidden"]), nn.ReLU(), nn.Linear(a["hidden"], a["latent"]))
        net.decoder = nn.Sequential(nn.Linear(a["latent"], a["hidden"]), nn.ReLU(), nn.Linear(a["hidden"], d))
        net.books = nn.ParameterList(torch.randn(k, a["latent"]) for k in self.sizes)
        return net

    def fit(self, x: np.ndarray, progress: bool = False) -> RQVAE:
        """Train on `(N, d)` vectors; the same `x` and seed give the same codes."""
        a, x = self.about, torch.from_numpy(_matrix(x))
        with torch.random.fork_rng():
            torch.manual_seed(a["seed"])
            self.net = net = self._build(x.shape[1])
            if a["kmeans_init"]:
                with torch.no_grad():
                    kmeans = ResidualKMeans(self.sizes, a["seed"]).fit(net.encoder(x).numpy())
                    for book, centroids in zip(net.books, kmeans.codebooks, strict=True):
                        book[: len(centroids)] = torch.from_numpy(centroids)
            optimizer = torch.optim.Adam(net.parameters(), lr=a["lr"])
            for _ in tqdm(range(a["epochs"]), desc="RQ-VAE", mininterval=5, disable=not progress):
                for rows in torch.randperm(len(x)).split(a["batch"]):
                    z = net.encoder(x[rows])
                    codes, parts = self._quantise(z)
                    total, loss, residual = torch.zeros_like(z), 0.0, z
                    for part in parts:  # each codebook towards the residual, the encoder towards the codebook
                        loss = (
                            loss
                            + mse_loss(part, residual.detach())
                            + a["commitment"] * mse_loss(residual, part.detach())
                        )
                        residual, total = residual - part.detach(), total + part
                    out = net.decoder(z + (total - z).detach())  # straight-through: gradients pass the quantiser
                    loss = loss + mse_loss(out, x[rows]) * x.shape[1]
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
        return self

    def _quantise(self, z: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        codes, parts, residual = [], [], z
        for book in self.net.books:
            codes.append(torch.cdist(residual.detach(), book).argmin(-1))
            parts.append(book[codes[-1]])
            residual = residual - parts[-1].detach()
        return torch.stack(codes, -1), parts

    @torch.no_grad()
    def encode(self, x: np.ndarray) -> np.ndarray:
        """`(n, layers)` int64 codes of seen or unseen `(n, d)` vectors."""
        if self.net is None:
            raise CRSError("this RQ-VAE is untrained; call fit() before encode().")
        return self._quantise(self.net.encoder(torch.from_numpy(_matrix(x))))[0].numpy()

    def fit_encode(self, x: np.ndarray) -> np.ndarray:
        """`fit`, then the codes `(N, 3)` of the same vectors."""
        return self.fit(x).encode(x)

    @torch.no_grad()
    def reconstruct(self, codes: np.ndarray) -> np.ndarray:
        """`(n, d)` decoded vectors of `(n, m)` codes; `m` below the number of layers gives the coarser vector."""
        codes = torch.from_numpy(np.asarray(codes))
        return self.net.decoder(sum(self.net.books[n][codes[:, n]] for n in range(codes.shape[1]))).numpy()

    def save(self, folder: Path) -> None:
        """Write `rqvae.safetensors` and `rqvae.json`."""
        save_file(self.net.state_dict(), folder / "rqvae.safetensors")
        write_json(folder / "rqvae.json", self.about)

    @classmethod
    def load(cls, folder: Path) -> RQVAE:
        """Read what `save` wrote. Raises `CRSError` for missing or damaged files."""
        about = read_json(folder / "rqvae.json", dict, "build the codes again.")
        try:
            state = load_file(folder / "rqvae.safetensors")
            made = cls(**{**about, "sizes": tuple(about["sizes"])})
            made.net = made._build(state["encoder.0.weight"].shape[1])
            made.net.load_state_dict(state)
        except Exception as e:  # the libraries below raise many kinds; the reader needs one sentence
            raise CRSError(f"{folder / 'rqvae.json'}: damaged ({e!r:.160}); build the codes again.") from None
        return made
