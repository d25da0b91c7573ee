"""Amazon Reviews 2023 (Hou et al. 2024) -> `SearchLog`: a real catalogue, real shoppers, made-up queries.

The reviews name user, item and time, but nobody recorded what was searched. So every query here is synthetic: one
or two words of the reviewed item's own title or brand, few enough that at least 20 items match. It is marked
`synthetic_query`, and because its words come from the target, `baselines.bm25.query_leak` says how much it gives away.
Nothing was logged about what was shown, where, or by whom, so `shown`, `place` and `profile` stay empty.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from crs_lite.adapters.account import Account, FileAccount
from crs_lite.adapters.assemble import SPLIT_AT, Read
from crs_lite.adapters.rows import read as rows_of
from crs_lite.adapters.synthetic import Queries, with_topics
from crs_lite.errors import CRSError
from crs_lite.logs import Item, SearchLog, SearchRequest, Split, User, _validated

BYTES_A_SEARCH = 1900  # of memory at the peak, for each review kept
FIELDS = {
    "reviews": {"user_id, parent_asin": "text", "timestamp": "milliseconds"},
    "meta": {
        "parent_asin, title": "text; an item without a title, or with a broken one, is left out",
        "store, categories, price": "brand, category (the last of the list) and price, optional",
    },
}
NO_PRICE = ("none", "null", "nan", "")  # what stands where there is none
EARLIEST, LATEST = 631_152_000_000, 4_102_444_800_000  # 1990 and 2100 in ms; seconds taken for ms would be 1970

_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);")  # with its semicolon: "H&notebook" holds no entity
_NAMES = "a|b|br|em|div|font|h[1-6]|i|img|input|li|link|meta|ol|p|script|span|strong|style|su[bp]|t[dhr]|table|u|ul"
_TAG = re.compile(rf"<!--|</?(?:{_NAMES})(?:\s[^<>]*)?/?>|<(?:{_NAMES})\s+[\w-]+=[^<>]*$", re.IGNORECASE)
_TAG_END = re.compile(r"""["']\s*/?>\s*$""")  # what is left of `<meta content="title" />` when its start was cut
_SCRIPT = re.compile(r"getTime\(|\bfunction\s*\(|\bvar\s+\w+\s*=|\b(?:document|window)\.\w+\s*[(=]")
_PRICE = re.compile(r"\$?\s*(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)")


class _Review(BaseModel):
    model_config = ConfigDict(strict=True)
    user_id: str = Field(min_length=1)
    parent_asin: str = Field(min_length=1)
    timestamp: float = Field(allow_inf_nan=False)

    @field_validator("timestamp")
    @classmethod
    def _in_ms(cls, value: float) -> float:
        if not EARLIEST <= value <= LATEST:
            raise ValueError(f"{value:.0f} is not in milliseconds between 1990 and 2100 (multiply seconds by 1000)")
        return value


class _Meta(BaseModel):
    model_config = ConfigDict(strict=True)
    parent_asin: str = Field(min_length=1)
    title: str | None
    store: str | None = None
    categories: list[str] | None = None
    price: float | str | None = None
    main_category: str | None = None


@dataclass
class AmazonReport:
    """What `load` met and did, counted in rows of the file, items or requests."""

    reviews_read: int = 0
    items_read: int = 0
    review_lines_empty: int = 0  # blank lines, and lines of a bulk format
    item_lines_empty: int = 0  # likewise
    repeated_items: int = 0  # a later row for a known item: dropped
    titles_with_entities: int = 0  # `&Uuml;` became `Ü`
    titles_with_tags: int = 0  # HTML tags taken out
    titles_repaired: int = 0  # the tail of a broken tag taken off, a title remained
    titles_dropped_debris: int = 0  # script, or a department's name instead of a title: item dropped
    titles_dropped_empty: int = 0  # null, or no word in it: item dropped
    items_never_reviewed: int = 0  # dropped
    items_without_brand: int = 0
    items_without_category: int = 0
    items_without_topic: int = 0
    prices_missing: int = 0
    prices_unreadable: int = 0  # "from $9.99", a range, zero: kept as no price
    prices_undated: int = 0  # kept, but of the day of the crawl, not of the day of the request
    reviews_of_dropped_items: int = 0  # dropped
    reviews_of_unknown_items: int = 0  # not in the meta file: dropped
    repeated_reviews: int = 0  # the same user and item again, later: dropped
    requests_without_query: int = 0  # no word of the item matches enough items: dropped
    requests_at_same_time: int = 0  # as the user's request before: their order is that of the file, so arbitrary
    items: int = 0
    users: int = 0
    requests: int = 0
    splits: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n".join(f"{f.name.replace('_', ' ')}: {getattr(self, f.name)}" for f in fields(self))

    def as_dict(self) -> dict:
        """The counts by name, for a results file."""
        return asdict(self)

    def account(self, reviews: Path, meta: Path) -> Account:
        """The same as an account of every row of the two files."""
        account = Account("amazon2023")
        skips = {
            "reviews": {
                "line without a document": self.review_lines_empty,
                "its item was dropped": self.reviews_of_dropped_items,
                "its item is not in the meta file": self.reviews_of_unknown_items,
                "the same shopper reviewed the item before": self.repeated_reviews,
                "no word of its item makes a query": self.requests_without_query,
            },
            "meta": {
                "line without a document": self.item_lines_empty,
                "an item of this name came before": self.repeated_items,
                "script or a page's frame instead of a title": self.titles_dropped_debris,
                "no title": self.titles_dropped_empty,
                "never reviewed": self.items_never_reviewed,
            },
        }
        notes = {
            "reviews": {"same time as the shopper's review before: order arbitrary": self.requests_at_same_time},
            "meta": {
                "HTML entities in the title, now signs": self.titles_with_entities,
                "HTML tags in the title, taken out": self.titles_with_tags,
                "the tail of a broken tag in the title, taken off": self.titles_repaired,
                "no brand": self.items_without_brand,
                "no category": self.items_without_category,
                "no topic": self.items_without_topic,
                "no price": self.prices_missing,
                "price is no number above 0: left out": self.prices_unreadable,
                "price of the day of the crawl": self.prices_undated,
            },
        }
        read = {"reviews": (reviews, self.reviews_read, self.requests), "meta": (meta, self.items_read, self.items)}
        for option, (path, n, kept) in read.items():
            file = account.of(option, path)
            file.read, file.kept = n, kept
            for reason, rows in skips[option].items():
                file.skip(reason, rows)
            for what, rows in notes[option].items():
                file.note(what, rows)
        return account


def read(reviews: Path, meta: Path) -> Read:
    """`load_with_report` as the registry wants it."""
    log, report = load_with_report(reviews, meta)
    return Read(log, report.account(Path(reviews), Path(meta)), [])


def load(
    reviews: Path,
    meta: Path,
    *,
    name: str = "amazon2023",
    seed: int = 0,
    min_matches: int = 20,
    topic_df: tuple[int, float] = (5, 0.05),
) -> SearchLog:
    """`load_with_report` without its report."""
    return load_with_report(reviews, meta, name=name, seed=seed, min_matches=min_matches, topic_df=topic_df)[0]


def load_with_report(
    reviews: Path,
    meta: Path,
    *,
    name: str = "amazon2023",
    seed: int = 0,
    min_matches: int = 20,
    topic_df: tuple[int, float] = (5, 0.05),
) -> tuple[SearchLog, AmazonReport]:
    """Read `reviews` and `meta` as published (JSON lines, plain or .gz): a user's first review of an item is a request.

    `min_matches`: how many items a synthetic query must match. `topic_df`: least number and largest share of titles
    a word may be in to serve as an item's `topic`. Split over the whole log by time, 80/10/10; requests of the same
    second stay together. Faults the published files have are survived and counted; any other malformed row raises
    `CRSError` naming file, row and remedy.
    """
    report = AmazonReport()
    catalogue, dropped = _catalogue(Path(meta), report)
    events = _events(Path(reviews), catalogue, dropped, report)
    reviewed = {key for _, _, key in events}
    report.items_never_reviewed = sum(key not in reviewed for key in catalogue)
    used = [item for item in catalogue.values() if item.key in reviewed]
    items = with_topics([item.model_copy(update={"id": n}) for n, item in enumerate(used)], *topic_df)
    users, requests = _requests(events, items, seed, min_matches, report)
    report.items_without_brand = sum(item.brand is None for item in items)
    report.items_without_category = sum(item.category is None for item in items)
    report.items_without_topic = sum("topic" not in item.attributes for item in items)
    report.prices_undated = sum(item.price is not None for item in items)
    report.items, report.users, report.requests = len(items), len(users), len(requests)
    report.splits = {s: sum(r.split == s for r in requests) for s in ("train", "valid", "test")}
    return SearchLog(name, items, users, requests), report


# -- the two files -----------------------------------------------------------------------------


def _rows(account: FileAccount, model: type[BaseModel]) -> Iterable:
    """Rows of a file, checked; `account` counts them. Raises `CRSError` naming file and row."""
    if not account.path.is_file():
        raise CRSError(
            f"{account.path}: no such file; download Amazon Reviews 2023 and pass the path of one category's file."
        )
    for row in rows_of(account):
        yield _validated(model, row.value, row.path, row.n)


def _catalogue(path: Path, report: AmazonReport) -> tuple[dict[str, Item], set[str]]:
    """Usable items by key, in the file's order, and the keys of those dropped for their title."""
    rows: dict[str, _Meta] = {}
    account = FileAccount(path)
    for row in _rows(account, _Meta):
        report.repeated_items += row.parent_asin in rows
        rows.setdefault(row.parent_asin, row)
    report.items_read, report.item_lines_empty = account.read, account.skipped.total()
    titles = {key: clean(row.title or "") for key, row in rows.items()}
    broken = Counter(_squeeze(text) for text, done in titles.values() if "tail" in done)
    file_name = re.sub(r"^meta_|\.jsonl.*$", "", path.name)
    items, dropped = {}, set()
    for key, row in rows.items():
        title, done = titles[key]
        # A page's frame instead of a title: several broken tags left the same text, or a department's name.
        frame = "tail" in done and (
            broken[_squeeze(title)] > 1 or _squeeze(title) in (_squeeze(file_name), _squeeze(row.main_category or ""))
        )
        if "script" in done or frame:
            report.titles_dropped_debris += 1
            dropped.add(key)
            continue
        if not re.search(r"[^\W\d_]{2}", title):
            report.titles_dropped_empty += 1
            dropped.add(key)
            continue
        report.titles_with_entities += "entities" in done
        report.titles_with_tags += "tags" in done
        report.titles_repaired += "tail" in done
        price = _price(row.price)
        given = str(row.price).strip().lower() not in NO_PRICE
        report.prices_missing += not given
        report.prices_unreadable += given and price is None
        categories = [text for text, _ in map(clean, row.categories or []) if text]
        brand = clean(row.store or "")[0]
        category = categories[-1] if categories else None
        items[key] = Item(id=len(items), key=key, title=title, brand=brand or None, category=category, price=price)
    return items, dropped


def clean(text: str) -> tuple[str, set[str]]:
    """A title as a reader would write it, and what was met: "entities", "tags", the "tail" of a tag, "script"."""
    done: set[str] = set()
    for _ in range(3):  # `&amp;reg;` was escaped twice
        plain = _ENTITY.sub(_sign, text)
        if plain == text:
            break
        done.add("entities")
        text = plain
    if _SCRIPT.search(text) or any(map(_is_rule, text.split("}"))):
        done.add("script")
    for without, what in ((_without_tags, "tags"), (lambda t: _TAG_END.sub(" ", t), "tail")):
        if (plain := without(text)) != text:
            done.add(what)
            text = plain
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn") else c for c in text)
    return " ".join(text.split()), done


def _sign(entity: re.Match) -> str:
    return html.unescape(entity[0]) if len(entity[0]) < 40 else entity[0]  # the longest name has 33 signs


def _is_rule(block: str) -> bool:
    """A brace, then a colon, then a semicolon: a line of a style sheet or of a script."""
    begin = block.find("{")
    colon = block.find(":", begin) if begin >= 0 else -1
    return colon >= 0 and block.find(";", colon) >= 0


def _without_tags(text: str) -> str:
    """A blank for every tag, and for every comment that ends on its line. In linear time, whatever the text."""
    kept, done, at, close, line = [], 0, 0, 0, 0
    while m := _TAG.search(text, at):
        at = m.end()
        if m[0] == "<!--":
            close = close if close >= at else _find(text, "-->", at)
            line = line if line >= at else _find(text, "\n", at)
            if close >= line:
                continue
            at = close + 3
        kept += [text[done : m.start()], " "]
        done = at
    return "".join([*kept, text[done:]])


def _find(text: str, what: str, at: int) -> int:
    """Where it stands next; behind the text if nowhere."""
    found = text.find(what, at)
    return found if found >= 0 else len(text) + (what == "-->")


def _squeeze(text: str) -> str:
    return "".join(re.findall(r"\w+", text.casefold().replace("&", " and ").replace("_", " ")))


def _price(raw: float | str | None) -> float | None:
    if isinstance(raw, str):
        match = _PRICE.fullmatch(raw.strip())
        raw = float(match[1].replace(",", "")) if match else None
    return raw if raw is not None and math.isfinite(raw) and raw > 0 else None


def _events(path: Path, catalogue: dict, dropped: set[str], report: AmazonReport) -> list[tuple[int, str, str]]:
    """(seconds, user key, item key) in time order, ties in the file's order, each user and item once."""
    events: list[tuple[int, str, str]] = []
    account = FileAccount(path)
    for row in _rows(account, _Review):
        if row.parent_asin in catalogue:
            events.append((int(row.timestamp // 1000), row.user_id, row.parent_asin))
        elif row.parent_asin in dropped:
            report.reviews_of_dropped_items += 1
        else:
            report.reviews_of_unknown_items += 1
    report.reviews_read, report.review_lines_empty = account.read, account.skipped.total()
    events.sort(key=lambda event: event[0])
    first: dict[tuple[str, str], tuple[int, str, str]] = {}
    for event in events:
        first.setdefault(event[1:], event)
    report.repeated_reviews = len(events) - len(first)
    if not first:
        raise CRSError(f"{path}: no row names an item of the meta file; pass the two files of one category.")
    return list(first.values())


def _requests(
    events: list[tuple[int, str, str]], items: list[Item], seed: int, min_matches: int, report: AmazonReport
) -> tuple[list[User], list[SearchRequest]]:
    by_key = {item.key: item for item in items}
    queries = Queries(items, seed, min_matches)
    asked = [(time, user, by_key[item], queries.of(user, by_key[item])) for time, user, item in events]
    kept = [event for event in asked if event[3] is not None]
    report.requests_without_query = len(asked) - len(kept)
    if not kept:
        raise CRSError(f"no item has a word that {min_matches} items share; lower min_matches or load more items.")
    starts = [kept[int(share * len(kept))][0] for share in SPLIT_AT]  # seconds
    users: dict[str, User] = {}
    last: dict[str, int] = {}
    requests = []
    for n, (time, key, item, query) in enumerate(kept):
        user = users.setdefault(key, User(id=len(users), key=key))
        report.requests_at_same_time += last.get(key) == time
        last[key] = time
        split: Split = "train" if time < starts[0] else "valid" if time < starts[1] else "test"
        requests.append(
            SearchRequest(
                id=n, user=user.id, split=split, time=time, query=query, clicked=(item.id,), synthetic_query=True
            )
        )
    return list(users.values()), requests
