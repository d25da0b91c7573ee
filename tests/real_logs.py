"""Made-up exports in the formats of real logs, with the faults such files have. One shop, written in every format.

Nothing here is anybody's data. A file is a list of lines, so that a test can spoil one of them and count them all.
"""

import csv
import io
import json
import random
from pathlib import Path

START = 1_700_000_000  # seconds
COLOURS = ("red", "blue", "green", "black", "white")
THINGS = ("tape", "clamp", "glove", "wrench", "lamp", "hose")
BRANDS = ("Acme", "Zeta Tools", None)


def shop(searches=60, items=30, seed=0):
    """-> (items, searches): what happened, before any format writes it down."""
    rng = random.Random(seed)
    goods = [
        {
            "key": f"B{i:04}",
            "title": f"{COLOURS[i % 5]} {THINGS[i % 6]} no {i}",
            "brand": BRANDS[i % 3],
            "category": THINGS[i % 6],
            "price": 5.0 + i,
        }
        for i in range(items)
    ]
    done = []
    for n in range(searches):
        shown = rng.sample(range(items), 5)
        clicked = rng.sample(shown, rng.choice((0, 1, 1, 2)))
        done.append(
            {
                "id": f"q-{n:05}",
                "user": f"c{n * 7 % max(11, searches // 5)}",
                "session": f"s{n // 3}",
                "time": START + 400 * n,
                "query": f"{rng.choice(COLOURS)} {rng.choice(THINGS)}",
                "shown": [goods[i]["key"] for i in shown],
                "clicked": [goods[i]["key"] for i in clicked],
                "strength": [rng.choice((1, 1, 2, 3)) for _ in clicked],
            }
        )
    return goods, done


def stamp(seconds, n=0):
    """The ways a time is written."""
    from datetime import UTC, datetime

    text = datetime.fromtimestamp(seconds, UTC).isoformat()
    return (text, text.replace("+00:00", "Z"), text[:-6], seconds * 1000)[n % 4]


def dumps(rows):
    return [json.dumps(row) for row in rows]


# -- UBI --------------------------------------------------------------------------------------------------

ACTIONS = {1: "click", 2: "add_to_cart", 3: "purchase"}


def ubi_event(s, action, key, ordinal=None, after=0, **more):
    return {
        "application": "shop",
        "action_name": action,
        "query_id": s["id"],
        "session_id": s["session"],
        "client_id": s["user"],
        "timestamp": stamp(s["time"] + after),
        "message_type": None,
        "event_attributes": {
            "object": {"object_id": key, "object_id_field": "product_id"},
            "position": {} if ordinal is None else {"ordinal": ordinal},
        },
        **more,
    }


def ubi(searches=60, seed=0, quirks=True):
    """-> option -> lines: queries in the bulk format, events plain, items as a bulk export."""
    goods, done = shop(searches, seed=seed)
    queries, events = [], []
    for n, s in enumerate(done):
        query = {
            "query_id": s["id"],
            "user_query": s["query"],
            "client_id": s["user"],
            "timestamp": stamp(s["time"], n),
        }
        queries += [
            {"index": {"_index": "ubi_queries", "_id": f"x{n}"}},
            query | {"query_response_hit_ids": s["shown"]},
        ]
        if n % 4:  # every fourth shop page logs no impressions
            events += [ubi_event(s, "impression", key, at) for at, key in enumerate(s["shown"], 1)]
        for after, (key, strength) in enumerate(zip(s["clicked"], s["strength"], strict=True), 1):
            events.append(ubi_event(s, "click", key, s["shown"].index(key) + 1, 10 * after))
            if strength > 1:
                events.append(ubi_event(s, ACTIONS[strength], key, None, 10 * after + 100))
    if quirks:
        lost = {"query_id": "q-lost", "user_query": "nothing came of it", "client_id": "c1", "timestamp": stamp(START)}
        queries += [lost, lost, lost | {"query_id": "q-empty", "user_query": ""}]
        s = done[-1]
        events += [
            ubi_event(s | {"id": "q-elsewhere"}, "click", "B0001", 1),
            ubi_event(s, "click", "B9999", 1),
            ubi_event(s, "click", 12345, 1),
            ubi_event(s, "product_hover", "B0001"),
            ubi_event(s, "login", None) | {"query_id": None},
            ubi_event(s, "impression", None, 9),
            ubi_event(s, "impression", s["shown"][0], {"index": 1}, timestamp="yesterday"),
        ]
    items = []
    for good in goods:
        items += [{"index": {"_id": good["key"]}}, {k: v for k, v in good.items() if k != "key"}]
    files = {"queries": dumps(queries), "events": dumps(events), "items": dumps(items)}
    if quirks:
        files["queries"].append("")
    return files


# -- KuaiSearch -------------------------------------------------------------------------------------------


def number(key):
    return int(key[1:])


def kuaisearch(searches=60, seed=0, quirks=True):
    goods, done = shop(searches, seed=seed)
    recall, rank = [], []
    for n, s in enumerate(done):
        bought = [k for k, x in zip(s["clicked"], s["strength"], strict=True) if x == 3]
        place = {"user_id": int(s["user"][1:]), "session_id": n, "query": s["query"], "time_index": 1000 + n}
        recall.append(
            place
            | {
                "impressed_item_ids": [number(k) for k in s["shown"]],
                "clicked_item_ids": [number(k) for k in s["clicked"]],
                "purchased_item_ids": [number(k) for k in bought] or None,
                "split": "train" if n < 0.8 * searches else "test",
            }
        )
        for key in s["shown"] if n % 2 else ():
            rank.append(
                place
                | {
                    "search_entrance": "search_entrance_ksstore",
                    "recently_clicked_item_ids": [1, 2],
                    "target_item_id": number(key),
                    "target_item_price": 100.0 * number(key) + 1,
                    "is_clicked": int(key in s["clicked"]),
                    "is_purchased": int(key in bought),
                }
            )
    items = [
        {
            "item_id": number(g["key"]),
            "item_title": g["title"],
            "brand_name": g["brand"] or "无品牌",
            "category_level1_name": "all",
            "category_level2_name": g["category"],
            "category_level3_name": "UNKNOWN",
        }
        for g in goods
    ]
    users = [{"user_id": u, "gender": "F", "age_bucket": "24-30", "fre_city": f"town {u}"} for u in range(11)]
    if quirks:
        recall += [recall[0], recall[1] | {"session_id": 900, "clicked_item_ids": [777], "purchased_item_ids": []}]
        rank.append(rank[0] | {"session_id": 4711})
        items += [items[0], {"item_id": 555, "item_title": "never shown"}, {"item_id": 7, "item_title": "\\N"}]
        users.append(users[0])
    return {"recall": dumps(recall), "rank": dumps(rank), "items": dumps(items), "users": dumps(users)}


# -- my log -----------------------------------------------------------------------------------------------


def table(rows):
    """Lines of CSV under a header; a row may lack fields."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().splitlines()


def mylog_rows(searches=60, seed=0):
    goods, done = shop(searches, seed=seed)
    rows = [
        {
            "user_id": s["user"],
            "session_id": s["session"],
            "time": stamp(s["time"], n),
            "query": s["query"],
            "shown": "|".join(s["shown"]),
            "clicked": "|".join(s["clicked"]) if n % 2 else json.dumps(s["clicked"]),
            "strength": "|".join(map(str, s["strength"])),
            "place": "home" if n % 3 else "",
        }
        for n, s in enumerate(done)
    ]
    items = [{"item_id": g["key"], **{k: v for k, v in g.items() if k != "key"}} for g in goods]
    users = [{"user_id": f"c{u}", "city": f"town {u}", "age": 20 + u} for u in range(11)]
    return {"items": items, "searches": rows, "users": users}


def mylog(searches=60, seed=0, quirks=True):
    rows = mylog_rows(searches, seed)
    if quirks:
        rows["searches"] += [rows["searches"][0] | {"query": " "}, rows["searches"][1] | {"clicked": "B9999"}]
        rows["items"] += [rows["items"][0], {"item_id": "B0900", "title": ""}]
        rows["users"].append(rows["users"][0])
    return {option: table(of) for option, of in rows.items()}


# -- Amazon -----------------------------------------------------------------------------------------------


def amazon2023(searches=60, seed=0, quirks=True):
    goods, done = shop(searches, seed=seed)
    meta = [{"parent_asin": g["key"], "title": f"{g['title']} steel", "store": g["brand"]} for g in goods]
    reviews = [
        {"user_id": s["user"], "parent_asin": key, "asin": key, "rating": 5.0, "timestamp": s["time"] * 1000}
        for s in done
        for key in s["shown"][:2]
    ]
    if quirks:
        meta += [meta[0], {"parent_asin": "B0800", "title": None}, {"parent_asin": "B0801", "title": "var a = 1;"}]
        reviews += [reviews[0], reviews[0] | {"parent_asin": "B9999"}, reviews[0] | {"parent_asin": "B0800"}]
    return {"reviews": dumps(reviews), "meta": dumps(meta)}


SAMPLES = {"amazon2023": amazon2023, "ubi": ubi, "kuaisearch": kuaisearch, "mylog": mylog}
SEARCHES = {"amazon2023": "reviews", "ubi": "queries", "kuaisearch": "recall", "mylog": "searches"}  # a row a request


def write(folder: Path, files: dict[str, list[str]], suffix: str = "", like: dict | None = None) -> dict[str, Path]:
    """-> option -> path; CSV where the lines are, or those of `like`: a spoilt first line changes no file's name."""
    out = {}
    for option, lines in files.items():
        first = (like or files)[option][:1]
        kind = ".csv" if first and not first[0].startswith("{") else ".jsonl"
        out[option] = folder / f"{option}{kind}{suffix}"
        text = "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")
        out[option].write_bytes(text)
    return out
