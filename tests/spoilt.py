"""Rows of real logs as they should not be: fields of any depth, whole lines, repeats."""

import json
from collections import Counter

import real_logs

from crs_lite.adapters.registry import LogSource


def opened(name, folder, files, like=None):
    return LogSource(name, real_logs.write(folder, files, like=like)).open()


def named_rows(lines, n):
    """The rows that a sentence may name when row n of these lines was spoilt: in the bulk format an action line is for
    the line after it, and a line put between takes the action of the next."""
    return [n, n + 1] if any(line.startswith('{"index"') for line in lines) else [n]


def n_rows(lines, like=None):
    first = (like or lines)[:1]
    return len(lines) - (bool(lines) and not first[0].startswith("{"))  # CSV has a header


def requests(log):
    """Every request by what the shop calls things; numbers of ours and the split left out."""
    key = [item.key for item in log.items]
    return Counter(
        (
            log.users[r.user].key,
            r.query,
            r.time,
            r.place,
            tuple(key[i] for i in r.clicked),
            tuple(key[i] for i in r.shown),
            r.strength,
            tuple(sorted(log.users[r.user].profile.items())),
        )
        for r in log.requests
    )


GARBAGE = (
    None, "", "   ", True, False, 0, -1, 1.5, 10**400, -(10**15), float("nan"), float("inf"), "B0001",
    "B9999", "q-00001",
    [], {}, [None], ["B0001", "B0001"], [[1]], {"index": "x"}, {"a": {"b": 1}}, "\ud800", "<a_1>", "x" * 5000,
    "2024-13-01",
    "9" * 5000, "\u2028", "=1+1", "a|b", "[1, 2", 5,
)  # fmt: skip
LINES = (
    "",
    "{",
    "{}",
    "[]",
    "null",
    "17",
    '"x"',
    "{'a': 1}",
    "\ufeff{}",
    "\x00",
    '{"index": {}}',
    '{"delete": {"_id": "1"}}',
)


def spoil(lines, rng):
    """-> (the number of the row that was spoilt, lines). Fields at any depth; whole lines; repeats."""
    lines = list(lines)
    table = not lines[0].startswith("{")
    n = rng.randrange(table, len(lines))
    kind = rng.random()
    if kind < 0.1:
        lines[n] = rng.choice(LINES)
    elif kind < 0.2:
        lines[n] = lines[n][: rng.randrange(len(lines[n]) + 1)]
    elif kind < 0.25:
        lines.insert(n, lines[rng.randrange(table, len(lines))])
    elif table:
        cells = lines[n].split(",")
        cells[rng.randrange(len(cells))] = rng.choice(
            ["", "x", "B9999", '"', "-1", "nan", "yesterday", "1|2", '""', "a,b"]
        )
        lines[n] = ",".join(cells)
    elif lines[n].startswith("{"):
        row = inner = json.loads(lines[n])
        while True:
            field = rng.choice(list(inner))
            if not isinstance(inner[field], dict) or not inner[field] or rng.random() < 0.3:
                break
            inner = inner[field]
        if rng.random() < 0.2:
            del inner[field]
        elif rng.random() < 0.2:
            inner["new"] = rng.choice(GARBAGE)
        else:
            inner[field] = rng.choice(GARBAGE)
        lines[n] = json.dumps(row)
    return n + 1, lines
