"""Semantic IDs: three codes from the quantiser and a fourth that separates items sharing those three.

Written `<a_23><b_1><c_124><d_0>` (method section "Semantic IDs"): four vocabulary entries, one item, both ways.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from crs_lite.errors import CRSError
from crs_lite.files import read_arrays, read_json, write_arrays, write_json
from crs_lite.sid.kmeans import SIZES, ResidualKMeans

LETTERS = "abcd"
HEADROOM = 8  # spare `d` tokens, so that items added after training still have a token of the vocabulary
SID_PATTERN = re.compile(r"<a_(\d+)><b_(\d+)><c_(\d+)><d_(\d+)>")  # for finding IDs inside longer text


class Quantiser(Protocol):
    """What gives item vectors `(n, d)` their three codes `(n, 3)`; `kind` is its name in files."""

    kind: str
    sizes: tuple[int, ...]

    def fit_encode(self, x: np.ndarray) -> np.ndarray:
        """Learn the codebooks from x, and its codes."""
        ...

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Codes of other vectors by the same codebooks."""
        ...

    def save(self, folder: Path) -> None:
        """Write it; `load(folder)` of its class reads it."""
        ...


@dataclass(frozen=True, eq=False)
class SemanticIDs:
    """IDs of items 0..N-1.

    codes: `(N, 4)` int64, all rows different, column l in 0..sizes[l]-1
    sizes: number of tokens of layers a, b, c and d; the vocabulary, whether used or not
    quantiser: what gives unseen items their codes; None for random IDs
    build_seconds: wall time of `build`; None after `load`, because files hold content only
    """

    codes: np.ndarray
    sizes: tuple[int, int, int, int]
    quantiser: Quantiser | None = None
    build_seconds: float | None = None

    def __post_init__(self):
        codes = self.codes
        if codes.ndim != 2 or codes.shape[1] != 4 or len(self.sizes) != 4:
            raise CRSError(f"codes of shape {codes.shape}, sizes {self.sizes}: need (N, 4) codes; build them again.")
        bad = np.flatnonzero(((codes < 0) | (codes >= np.array(self.sizes))).any(axis=1))
        if len(bad):
            raise CRSError(
                f"item {bad[0]}: code {tuple(codes[bad[0]].tolist())} lies outside the vocabulary {self.sizes}; "
                "build the IDs again, with larger sizes or more headroom."
            )
        if len(self._item) != len(codes):
            raise CRSError("two items have the same four codes; build the IDs again.")

    # -- making them -----------------------------------------------------------------------------

    @classmethod
    def from_three(
        cls,
        three: np.ndarray,
        sizes: tuple[int, ...],
        quantiser: Quantiser | None = None,
        build_seconds: float | None = None,
        headroom: int = HEADROOM,
    ) -> SemanticIDs:
        """Add the fourth code to `(N, 3)` codes of any quantiser whose layers hold `sizes` codes."""
        if len(sizes) != 3:
            raise CRSError(f"codebook sizes {tuple(sizes)}: an ID has three quantised codes; give three sizes.")
        fourth = _fourth(three)
        n_fourth = int(fourth.max(initial=0)) + 1 + headroom
        codes = np.column_stack([three, fourth]).astype(np.int64)
        return cls(codes, (*(int(k) for k in sizes), n_fourth), quantiser, build_seconds)

    @classmethod
    def build(
        cls,
        x: np.ndarray,
        sizes: tuple[int, ...] = SIZES,
        seed: int = 0,
        headroom: int = HEADROOM,
        quantiser: Quantiser | None = None,
    ) -> SemanticIDs:
        """IDs of item vectors `(N, d)`, row = item id, by residual K-means or another untrained `quantiser`.

        Raises `CRSError` for unusable vectors.
        """
        start = time.perf_counter()
        quantiser = quantiser or ResidualKMeans(sizes, seed)
        return cls.from_three(
            quantiser.fit_encode(x), quantiser.sizes, quantiser, time.perf_counter() - start, headroom
        )

    def assign_new(self, x_new: np.ndarray) -> SemanticIDs:
        """IDs of the old items, unchanged, followed by those of the `(m, d)` new ones in the same codebook.

        The vocabulary stays as it is, so a trained model needs no new rows. Raises `CRSError` when the
        `d` tokens run out, or when these IDs have no quantiser.
        """
        if self.quantiser is None:
            raise CRSError("random IDs have no codebook to place new items in; use SemanticIDs.build.")
        three = np.vstack([self.codes[:, :3], self.quantiser.encode(x_new)])
        # Ranks follow item order, so appended items only ever come after the old ones of their group.
        codes = np.column_stack([three, _fourth(three)])
        return SemanticIDs(codes, self.sizes, self.quantiser, self.build_seconds)

    # -- reading them ----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.codes)

    def tokens(self) -> list[str]:
        """Every token the IDs may use, spare `d` tokens included, layer by layer: `<a_0> <a_1> ... <d_n>`."""
        return [token(layer, code) for layer, size in enumerate(self.sizes) for code in range(size)]

    def tokens_of(self, item: int) -> list[str]:
        """The item's four tokens. Raises `CRSError` for an unknown item."""
        if not 0 <= item < len(self):
            raise CRSError(f"item {item} has no semantic ID; use 0 to {len(self) - 1}, or assign_new for new items.")
        return [token(layer, code) for layer, code in enumerate(self.codes[item].tolist())]

    def to_string(self, item: int) -> str:
        """`<a_23><b_1><c_124><d_0>`. Raises `CRSError` for an unknown item."""
        return "".join(self.tokens_of(item))

    def item_of(self, codes: Iterable[int]) -> int | None:
        """The item with these four codes, or None: a free-running model may well write an ID nobody has."""
        return self._item.get(tuple(int(c) for c in codes))

    def from_string(self, text: str) -> int | None:
        """The item whose ID `text` is, or None when it is no ID, or no item's ID."""
        match = SID_PATTERN.fullmatch(text.strip())
        item = self.item_of(match.groups()) if match else None
        # `<a_07>` is not a token: only the canonical spelling counts.
        return item if item is not None and self.to_string(item) == text.strip() else None

    @cached_property
    def _item(self) -> dict[tuple[int, ...], int]:
        return {tuple(row): item for item, row in enumerate(self.codes.tolist())}

    # -- files -----------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write `sids.safetensors`, `sids.json` and, if there is one, the quantiser. Same IDs, same bytes."""
        write_arrays(folder / "sids.safetensors", {"codes": self.codes.astype(np.int32)}, {})
        about = {"sizes": self.sizes, "quantiser": self.quantiser.kind if self.quantiser else None}
        write_json(folder / "sids.json", about)
        if self.quantiser is not None:
            self.quantiser.save(folder)

    @classmethod
    def load(cls, folder: Path, quantiser: type = ResidualKMeans) -> SemanticIDs:
        """Read what `save` wrote; `quantiser`: the class that made the codes, if not K-means. Raises `CRSError` for
        missing, damaged or contradictory files."""
        arrays, _ = read_arrays(folder / "sids.safetensors")
        path, again = folder / "sids.json", "build the codes again."
        about = read_json(path, dict, again)
        try:
            codes, sizes, kind = arrays["codes"].astype(np.int64), tuple(about["sizes"]), about["quantiser"]
        except (KeyError, TypeError) as e:
            raise CRSError(f"{path}: damaged ({e!r}); {again}") from None
        if kind not in (None, quantiser.kind):
            raise CRSError(f"{path}: made by the quantiser {kind!r}, not {quantiser.kind!r}; {again}")
        return cls(codes, sizes, quantiser.load(folder) if kind else None)


def random_ids(n: int, sizes: tuple[int, ...] = SIZES, seed: int = 0, headroom: int = HEADROOM) -> SemanticIDs:
    """IDs that mean nothing, for comparison: three uniform codes for each of `n` items, and the fourth as always."""
    three = np.random.default_rng(seed).integers(0, sizes, size=(n, len(sizes)))
    return SemanticIDs.from_three(three, sizes, headroom=headroom)


def token(layer: int, code: int) -> str:
    """`token(0, 23)` is `<a_23>`."""
    return f"<{LETTERS[layer]}_{code}>"


def _fourth(three: np.ndarray) -> np.ndarray:
    """`(N,)`: how many earlier items (smaller id) have the same three codes."""
    seen: dict[tuple[int, ...], int] = {}
    fourth = np.zeros(len(three), dtype=np.int64)
    for item, key in enumerate(map(tuple, three.tolist())):
        fourth[item] = seen.get(key, 0)
        seen[key] = fourth[item] + 1
    return fourth
