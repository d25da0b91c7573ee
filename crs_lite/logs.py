"""What every shop looks like to the rest of the package: items, users and search requests in time order.

A `SearchLog` is the only thing that flows out of the marketplace and the adapters. Nothing in here
knows where a log came from, and nothing later in the flow may ask.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from crs_lite.errors import CRSError
from crs_lite.files import write_bytes

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


YEARS = -62_135_596_800, 253_402_300_799  # 0001 to 9999, what a calendar can say


def _repaired(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


Text = Annotated[str, AfterValidator(_repaired)]  # half a surrogate pair becomes U+FFFD


class Item(BaseModel):
    """One catalogue entry. `id` is its row, 0..N-1; `key` is the shop's own name for it."""

    model_config = ConfigDict(frozen=True)
    id: int = Field(ge=0)
    key: Text
    title: Text
    brand: Text | None = None
    category: Text | None = None
    price: float | None = Field(None, ge=0, allow_inf_nan=False)
    sales: int | None = Field(None, ge=0)
    attributes: dict[Text, Text] = {}

    def facets(self) -> dict[Text, Text]:
        """Everything a sentence can say about the item, in a fixed order: category, brand, attributes."""
        named = {"category": self.category, "brand": self.brand}
        return {k: v for k, v in named.items() if v} | self.attributes


class User(BaseModel):
    """A shopper. `profile` holds only what the shop openly knows (gender, age, city, devices ...)."""

    model_config = ConfigDict(frozen=True)
    id: int = Field(ge=0)
    key: Text
    profile: dict[Text, Text] = {}


class Interaction(BaseModel):
    """One past search: what was asked, when and where, what was shown and what was clicked.

    `strength`: of each clicked item, where a log knows it: 1 clicked, 2 put into the cart, 3 bought, or its own labels.
    """

    model_config = ConfigDict(frozen=True)
    time: int = Field(ge=YEARS[0], le=YEARS[1], description="UTC seconds; if not `timed`, an order")
    place: Text | None = None
    entrance: Text | None = None
    query: Text
    shown: tuple[int, ...] = ()
    clicked: tuple[int, ...] = ()
    strength: tuple[float, ...] = ()
    timed: bool = True

    @property
    def skipped(self) -> tuple[int, ...]:
        """Items shown but not clicked, in the order shown."""
        return tuple(i for i in self.shown if i not in self.clicked)


class SearchRequest(Interaction):
    """A search whose outcome is to be predicted. `clicked[0]` is the target, and is never shown to a model."""

    id: int = Field(ge=0)
    user: int = Field(ge=0)
    split: Split
    synthetic_query: bool = False

    @property
    def target(self) -> int:
        """The item to be predicted: the first one clicked."""
        return self.clicked[0]


class SearchLog:
    """Items, users and requests of one shop, requests sorted by `(time, id)`.

    Raises `CRSError` when rows refer to unknown items or users, or are out of order.
    """

    def __init__(self, name: str, items: list[Item], users: list[User], requests: list[SearchRequest]):
        self.name, self.items, self.users, self.requests = name, items, users, requests
        for kind, rows in (("items", items), ("users", users)):
            for row, entry in enumerate(rows):
                if entry.id != row:
                    raise CRSError(
                        f"log {name!r}, {kind} row {row}: id {entry.id} must equal its row; renumber the {kind}."
                    )
        last = (-(2**62), -1)
        for row, request in enumerate(requests):
            if (request.time, request.id) < last:
                raise CRSError(f"log {name!r}, requests row {row}: not in time order; sort requests by (time, id).")
            last = (request.time, request.id)
            if request.user >= len(users):
                raise CRSError(
                    f"log {name!r}, requests row {row}: unknown user {request.user}; add the user or drop the row."
                )
            if not request.clicked:
                raise CRSError(f"log {name!r}, requests row {row}: nothing was clicked; drop the row.")
            if request.strength and len(request.strength) != len(request.clicked):
                raise CRSError(f"log {name!r}, requests row {row}: one strength a clicked item, or none; mend the row.")
            for item in request.shown + request.clicked:
                if not 0 <= item < len(items):
                    raise CRSError(
                        f"log {name!r}, requests row {row}: unknown item {item}; add the item or drop the row."
                    )

    @cached_property
    def _of_user(self) -> dict[int, list[SearchRequest]]:
        per_user: dict[int, list[SearchRequest]] = {}
        for request in self.requests:
            per_user.setdefault(request.user, []).append(request)
        return per_user

    def split(self, name: Split) -> list[SearchRequest]:
        """Requests of one split, in time order. Raises `CRSError` for an unknown split."""
        if name not in SPLITS:
            raise CRSError(f"unknown split {name!r}; use one of {', '.join(SPLITS)}.")
        return [r for r in self.requests if r.split == name]

    def history(self, request: SearchRequest, n: int = 10) -> list[Interaction]:
        """The user's `n` most recent interactions strictly before `request`, oldest first."""
        mine = self._of_user.get(request.user, [])
        end = bisect_left(mine, (request.time, request.id), key=lambda r: (r.time, r.id))
        return list(mine[max(0, end - n) : end])

    def n_past(self, request: SearchRequest) -> int:
        """How many interactions the user had before `request`; 0 to 2 counts as cold start in the book."""
        mine = self._of_user.get(request.user, [])
        return bisect_left(mine, (request.time, request.id), key=lambda r: (r.time, r.id))

    # -- files ---------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write items, users and requests as gzipped JSON lines, the same bytes for the same log."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in (("items", self.items), ("users", self.users), ("requests", self.requests)):
            write_jsonl_gz(folder / f"{name}.jsonl.gz", (row.model_dump(exclude_defaults=True) for row in rows))

    @classmethod
    def load(cls, folder: Path, name: str | None = None) -> SearchLog:
        """Read what `save` wrote. Raises `CRSError` naming the file and row of the first fault."""
        parts = [
            [
                _validated(model, row, folder / f"{part}.jsonl.gz", n)
                for n, row in enumerate(read_jsonl_gz(folder / f"{part}.jsonl.gz"), 1)
            ]
            for part, model in (("items", Item), ("users", User), ("requests", SearchRequest))
        ]
        return cls(name or folder.name, *parts)

    def digest(self) -> str:
        """sha256 over the log's content: the name by which a frozen world is known."""
        h = hashlib.sha256()
        for rows in (self.items, self.users, self.requests):
            for row in rows:
                h.update(_dumps(row.model_dump(exclude_defaults=True)).encode())
        return h.hexdigest()


def _dumps(row: dict) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _validated(model: type[BaseModel], row: dict, path: Path, n: int):
    try:
        return model.model_validate(row)
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(p) for p in first["loc"]) or "row"
        raise CRSError(f"{path}, row {n}: {field}: {first['msg']}; mend or drop that row.") from None


def write_jsonl_gz(path: Path, rows: Iterable[dict]) -> None:
    """Gzipped JSON lines without a timestamp in the header, so equal content gives equal bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="", compresslevel=9) as f:
        for row in rows:
            f.write((_dumps(row) + "\n").encode())
    write_bytes(path, buffer.getvalue())


def read_jsonl_gz(path: Path) -> Iterable[dict]:
    """Rows of a (gzipped or plain) JSON-lines file. Raises `CRSError` naming file and row."""
    if not path.exists():
        raise CRSError(f"{path}: no such file; check the path, or regenerate it with `python -m crs_lite data`.")
    opener = gzip.open if path.suffix == ".gz" else open
    n = 0
    try:
        with opener(path, "rt", encoding="utf-8-sig") as f:
            for n, line in enumerate(f, 1):
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise CRSError(f"{path}, row {n}: expected a JSON object; mend or drop that row.")
                yield row
    except CRSError:
        raise
    except (ValueError, RecursionError) as e:
        raise CRSError(f"{path}, row {n or 1}: not valid JSON ({e}); mend or drop that row.") from None
    except (EOFError, OSError, zlib.error) as e:
        raise CRSError(f"{path}, after row {n}: damaged gzip file ({e}); fetch or regenerate it.") from None
