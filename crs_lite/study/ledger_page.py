"""The ledger as the book shows it: a table of verdicts, then every claim with a plain sentence, what the paper reports,
what was found, and its commands behind a fold; and the README's six rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from crs_lite.study.comparison import Entry
from crs_lite.study.forest import forest
from crs_lite.study.ledger import provenance, verdict


class About(NamedTuple):
    """What is always said of a claim: the question in plain words, what the paper reports, the chapter."""

    plain: str
    paper: str
    chapter: str = ""


NEVER = "asks it nowhere"
ABOUT = {
    "C1": About(
        "Does the whole system put the right item on top more often than the best system that does without it?",
        "CRS over LatentR3: up to 47 % more in HR@1 on a fine-grained set, 3 to 11 % on broad ones",
        "ch10-full-system",
    ),
    "C2": About(
        "Does the self-evolving loop improve on the model it begins with?",
        "up to 39 % and 21 % more in NDCG@10, on two sets",
        "ch09-loop",
    ),
    "C3": About(
        "With the same start and the same budget, is a reward for the whole list better than GRPO's for one item?",
        "1.2 to 2.7 % more in HR@1, at every iteration",
        "ch08-r-grpo",
    ),
    "C4": About(
        "Does reinforcement learning cost the list something that the supervised half of the round gives back?",
        "a curve that falls and recovers",
        "ch09-loop",
    ),
    "C5": About(
        "Do shoppers with hardly any past gain from the loop as well?",
        "8.6 % more for cold-start users",
        "ch10-full-system",
    ),
    "C6": About(
        "Is a larger language model a better one here?",
        "better from 0.6 over 1.7 to 4 billion weights",
        "ch14-what-really-matters",
    ),
    "C7": About(
        "Does the model learn which ID belongs to which item, in both directions?",
        "describes the training, gives no figure for it",
        "ch05-alignment",
    ),
    "N1": About(
        "Is it the text of the context that helps, or would an embedding of it do?", NEVER, "ch14-what-really-matters"
    ),
    "N2": About(
        "Is taking turns better than either half alone, for the same budget?", NEVER, "ch14-what-really-matters"
    ),
    "N3": About(
        "Does a reward shaped like the metric help the shopper, or only the metric?", NEVER, "ch14-what-really-matters"
    ),
    "B1": About(
        "The teacher has two faults: it states the shop's favourite value where it knows nothing (prior bias), and "
        "what the student cannot see (capacity bias). Does the student's own practice remove them?",
        "argues that it does, and does not count",
        "ch13-auditing-the-reasoning",
    ),
    "O1": About(
        "How often does a thought say a thing twice, contradict itself, or contradict the context it was written for?",
        "names it as a limitation, and does not count",
        "ch13-auditing-the-reasoning",
    ),
    "E1": About("Is the mean over sixteen thoughts' lists better than the list of one?", NEVER, "ch11-fair-fight"),
    "E2": About("Is that merged list better than everything that does not reason?", NEVER, "ch11-fair-fight"),
    "E3": About("Does reinforcement learning improve the merged list?", NEVER, "ch11-fair-fight"),
    "E4": About(
        "Does it help the decoder to have been trained on the model's own thoughts, right or wrong?",
        NEVER,
        "ch11-fair-fight",
    ),
    "E5": About(
        "The second edition's loop practised on the oldest requests, whose shoppers have hardly a past. Does one round "
        "of it help where they have one?",
        NEVER,
        "ch09-loop",
    ),
    "P1": About(
        "Does the main table look the same with a model that was pretrained?",
        "all of its models are",
        "ch14-what-really-matters",
    ),
    "P2": About("Does R-GRPO beat GRPO there?", "all of its models are", "ch14-what-really-matters"),
    "G": About(
        "What share of the best possible list does the system reach, and where is the rest lost?",
        "has no ceiling",
        "ch10-full-system",
    ),
}
# The README's rows: question, the claim of the paper (or our goal) whose verdict answers it, the claim with its
# effects, and their beginnings. A question of ours, which nobody claimed, is answered by the first of these that is
# recorded, alone.
SHORT = (
    (
        "Does one thought, taught without hindsight, beat answering at once?",
        "",
        "C1",
        ("one thought over direct SFT, each at its best rate", "the start over direct SFT: NDCG@10"),
    ),
    ("Does CRS beat the strongest rival, the counting model?", "C1", "C1", ("over the counting model: HR@1",)),
    ("Does the loop of RL and fine-tuning improve on its start?", "C2", "C2", ("after two rounds: NDCG@10",)),
    ("Is R-GRPO better than GRPO?", "C3", "C3", ("round 1: HR@1", "round 2: HR@1")),
    ("Does merging 16 thoughts beat one?", "", "E1", ("16 − one: NDCG@10",)),
    (
        "How near does one thought come to the best possible list?",
        "G",
        "G",
        ("the start: share", "the counting model:"),
    ),
)
DRAWN_ELSEWHERE = {"N1", "C6"}  # effects ten times as large as the others; chapter 14 draws them
FOUND = 3  # effects that stand in a claim's table; the rest are behind its fold


def blocks(first: Sequence[Entry], second: Sequence[Entry]) -> dict[str, str]:
    """What stands between the markers of the page, by their name."""
    return {
        "verdicts": overview(first, second),
        "forest": forest([x for x in second if x.id not in DRAWN_ELSEWHERE]),
        "ledger-2": cards(second),
        "ledger": cards(first, "first edition"),
    }


def short(entries: Sequence[Entry]) -> str:
    """Six rows: question, verdict, effect with its 95 % interval over requests and seeds."""
    known = {x.id: x for x in entries}
    lines = ["| question | verdict | effect, 95 % interval | seeds | in the ledger |", "|" + " --- |" * 5]
    for question, judged, id, begins in SHORT:
        if x := known.get(id):
            found = [of for b in begins if (of := [e for e in x.effects if e.startswith(b)])]
            answer, found = (verdict(x), found) if judged else (_yes(*found[:1]), found[:1])
            lines.append(f"| {question} | {answer} | {'; '.join(map(_together, found))} | {x.seeds} | {id} |")
    return "\n".join(lines) + "\n"


def _together(effects: Sequence[str]) -> str:
    """Effects of one beginning; what compares the same in another metric does not say again what is compared."""
    text = effects[0]
    for before, after in pairwise(effects):
        about, _, said = after.partition(": ")
        text += f", {said}" if before.startswith(f"{about}: ") else f"; {after}"
    return text


def _yes(effects: Sequence[str] = ()) -> str:
    """What the intervals of one comparison say by themselves: the first metric, or else one of the others."""
    d, *others = [e.difference for e in effects] or [None]
    if d is None:
        return ""
    if d.low > 0 or d.high < 0:
        return "yes (tiny)" if d.low > 0 else "no (tiny)"
    return "partly (tiny)" if any(of.low > 0 for of in others) else "cannot tell (tiny)"


def overview(first: Sequence[Entry], second: Sequence[Entry]) -> str:
    """All claims: the second edition's verdict, the first one's, the chapter that tells of it."""
    then, now = ({x.id: x for x in of} for of in (first, second))
    lines = ["| | claim | second edition | first edition | told in |", "|" + " --- |" * 5]
    for id, about in ABOUT.items():
        if entry := now.get(id) or then.get(id):
            found = [verdict(of[id]) if id in of else "" for of in (now, then)]
            lines.append(f"| {id} | {entry.claim} | {found[0]} | {found[1]} | {_told(about)} |")
    return "\n".join(lines) + "\n"


def cards(entries: Sequence[Entry], edition: str = "") -> str:
    """Every claim of one edition, which its titles name where two would be the same, and at the end where its numbers
    come from."""
    parts = [card(x, edition) for x in entries]
    return "\n".join([*parts, provenance(entries)])


def card(x: Entry, edition: str = "") -> str:
    """A claim: the plain sentence, a small table, and behind a fold all effects and the commands."""
    about = ABOUT[x.id]
    seeds = f", {x.seeds} seeds" if x.seeds else ""
    found = "; ".join([f"**{verdict(x)}**{seeds}", *x.effects[:FOUND]])
    rows = [("the paper", about.paper), ("found", found), *([("told in", told)] if (told := _told(about)) else [])]
    lines = [f"### {x.id}{f', {edition}' if edition else ''}: {x.claim}", "", about.plain, "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {text} |" for name, text in rows]
    behind = x.effects[FOUND:]
    if behind or x.commands:
        title = "All effects, and the command" if behind else "The command"
        lines += ["", f":::{{admonition}} {title}", ":class: dropdown", ""]
        lines += [f"- {effect}" for effect in (x.effects if behind else ())] + [""] * bool(behind)
        lines += ["```bash", *x.commands, "```", ":::"]
    return "\n".join(lines) + "\n"


def _told(about: About) -> str:
    return f"{{doc}}`{about.chapter}`" if about.chapter else ""
