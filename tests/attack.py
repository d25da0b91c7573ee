"""What damaged files, wrong words, hostile strings and kills do to the program, in figures: `make attack`.

Every attack counts its tries and three kinds of fault. Silent: damage was used, or nonsense was accepted. Traceback:
something else than one sentence came out. Lost: work that was finished, or a byte of the result, was not there again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
import toy
from pydantic import ValidationError
from real_logs import SAMPLES, SEARCHES
from spoilt import n_rows, named_rows, opened, requests, spoil
from toy_runs import opener

from crs_lite import __main__, paths, pipeline, unfinished
from crs_lite.adapters import amazon2023
from crs_lite.adapters.registry import LogSource
from crs_lite.chapters import checkpoints, lesson
from crs_lite.context import Context, escape, item_context
from crs_lite.errors import CRSError
from crs_lite.files import write_json
from crs_lite.logs import Item, SearchLog, SearchRequest, User
from crs_lite.prepared import RunSpec
from crs_lite.profiles import Profile
from crs_lite.reasoning.audit import audit
from crs_lite.reasoning.facets import Parser, facet_values
from crs_lite.reasoning.foresight import Foresight
from crs_lite.reasoning.perception import Perception
from crs_lite.reasoning.teacher import Evidence, Teacher, TeacherBias
from crs_lite.sid.embed import item_embeddings
from crs_lite.site import sentences
from crs_lite.study import ceilings, ledger, recorded, results
from crs_lite.study.experiments import runner
from crs_lite.tasks import Codec
from crs_lite.workspace import hardware, versions

Outcome = str  # "refused", "same", "silent", "traceback", "lost"
SHOWN = 5  # faults that are printed of each attack


TIMED = ("seconds", "minutes", "runtime", "per_second", "hardware", "sha256", "files", "threads")


def plain(value):
    """A JSON value without what measures time or tells where it was made."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if not any(t in k for t in TIMED)}
    return [plain(v) for v in value] if isinstance(value, list) else value


class Attack:
    """Tries of one kind: counted, the first faults told."""

    def __init__(self, name: str):
        self.name, self.found, self.faults = name, Counter(), []

    def count(self, outcome: Outcome, what: str) -> None:
        """One more try."""
        self.found[outcome] += 1
        if outcome in ("silent", "traceback", "lost"):
            self.faults.append(f"  {outcome}: {what}")

    def report(self) -> None:
        """A line of figures, and the first faults."""
        kinds = ("refused", "same", "silent", "traceback", "lost")
        print(f"{self.name:16s} {sum(self.found.values()):7d} tries: ", end="")
        print(", ".join(f"{self.found[k]} {k}" for k in kinds), flush=True)
        for fault in self.faults[:SHOWN]:
            print(fault)


@contextlib.contextmanager
def silence() -> Iterator[io.StringIO]:
    """Nothing is printed; -> what was said on the error output."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        yield said


# -- damaged files ---------------------------------------------------------------------------------------


def damages(rng: random.Random, data: bytes, structured: bool) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """(name, what it does to a file). `structured`: nothing vouches for the file, so only what cannot be right."""

    def put(content: bytes):
        return lambda path: path.write_bytes(content)

    def flip(times: int) -> bytes:
        out = bytearray(data)
        for _ in range(times):
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
        return bytes(out)

    def loop(path: Path) -> None:
        path.unlink()
        path.symlink_to(path.name)

    def folder(path: Path) -> None:
        path.unlink()
        path.mkdir()

    if not structured:
        yield "gone", Path.unlink
    yield "empty", put(b"")
    yield "half", put(data[: len(data) // 2])
    yield "a folder", folder
    yield "a link to itself", loop
    yield "garbage", put(rng.randbytes(300))
    yield "not UTF-8", put(b'{"a": "\xff\xfe"}')
    yield "deep", put(b"[" * 100_000)
    yield "null", put(b"null")
    yield "another type", put(b'[1, {"a": []}]')
    yield "an object", put(b'{"a": [1e999, NaN]}')
    yield "digits", put(b"9" * 5000)
    if not structured and data:
        yield "one bit", put(flip(1))
        yield "some bits", put(flip(20))
        yield "zeros", put(bytes(len(data)))


def damaged(
    attack: Attack, root: Path, files: list[Path], use: Callable[[], object], structured: bool, rng: random.Random
) -> None:
    """Each file below `root` damaged in each way while the others are whole; `use` reads them all and returns what it
    read."""
    with silence():
        before = use()
    backup = shutil.copytree(root, root.with_name(f"{root.name} as it was"))
    for path in files:
        for name, damage in damages(rng, path.read_bytes(), structured):
            damage(path)
            what = f"{path.parent.name}/{path.name} {name}"
            try:
                with silence():
                    after = use()
                attack.count("same" if after == before else "silent", what)
            except CRSError as e:
                attack.count("refused" if "\n" not in str(e) else "traceback", what)
            except Exception as e:
                attack.count("traceback", f"{what}: {type(e).__name__}: {str(e)[:100]}")
            shutil.rmtree(root)
            shutil.copytree(backup, root)
    shutil.rmtree(backup)


def attack_files(root: Path, open_run, rng: random.Random) -> Attack:
    """Stages of a finished toy run, shipped checkpoints, shop and embeddings, results, rows, answers."""
    attack = Attack("damaged files")
    with silence():
        pipeline.run(open_run("whole"))

    def read_run():
        made = pipeline.run(open_run("whole"))
        return plain({k: made[k] for k in ("baselines", "stages", "sid", "alignment", "rl_steps")})

    stages = sorted(d for d in (root / "whole").iterdir() if d.is_dir())
    some = [f for stage in stages for f in sorted(stage.rglob("*")) if f.is_file()]
    damaged(attack, root / "whole", rng.sample(some, 14), read_run, False, rng)
    artifacts = Path(shutil.copytree(paths.CHECKPOINTS, root / "artifacts"))
    log = LogSource().open().log

    def read_artifacts():
        codec = checkpoints.codec(log, artifacts)
        weights = checkpoints.model("distilled", artifacts).state_dict()
        return (
            codec.sids.codes.tolist(),
            codec.encode("a red lamp"),
            [float(w.double().sum()) for w in weights.values()],
        )

    damaged(attack, artifacts, [f for f in sorted(artifacts.rglob("*")) if f.is_file()], read_artifacts, False, rng)
    world = Path(shutil.copytree(paths.SHIPPED, root / "world"))

    def read_world():
        opened = LogSource("marketplace", {"world": world}).open()
        vectors = item_embeddings(opened.log, shipped=world / "embeddings.safetensors")
        return opened.log.digest(), opened.truth.tastes[:50], vectors.sum()

    vouched = [world / f"{name}.jsonl.gz" for name in ("items", "users", "requests")] + [
        world / "embeddings.safetensors"
    ]
    damaged(attack, world, vouched, read_world, False, rng)
    damaged(attack, world, [world / "world.json", world / "tastes.jsonl.gz"], read_world, True, rng)

    (root / "files").mkdir()
    quick, bench = (Path(shutil.copy(f, root / "files")) for f in (paths.QUICKSTART, paths.BENCH))
    answers = Path(shutil.copy(lesson.ANSWERS, root / "files" / "answers.json"))
    damaged(attack, root / "files", [quick], lambda: results.markdown(results.load(quick)), True, rng)
    damaged(attack, root / "files", [bench], lambda: results.bench_markdown(results.load(bench)), True, rng)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesson, "ANSWERS", answers)
        damaged(attack, root / "files", [answers], lambda: lesson.check("ex1-1", 7), True, rng)
    rows = Path(shutil.copytree(paths.EVIDENCE, root / "rows"))
    one = [next((rows / name).glob("*.json")) for name in ("arms", "main", "lists")]

    def read_rows():
        recorded._looked_up.cache_clear()
        return recorded.index(rows).to_string(), ledger.markdown(ledger.ledger(rows))

    damaged(attack, rows, one, read_rows, True, rng)
    return attack


# -- words -------------------------------------------------------------------------------------------------


def wrong_words(root: Path) -> Iterator[list[str]]:
    """Commands that ask for what there is not."""
    a_file, gone = root / "file", root / "none"
    a_file.write_text("x")
    for field in fields(Profile):
        for value in ("", "-1", "nan", "1e400", "[]", "None", "{1: 2}", "'\x00'"):
            yield ["run", "--set", f"{field.name}={value}"]
    for budget in (
        "rl_group=1",
        "rl_beams=1",
        "heads=7",
        "name=x",
        "align_lr",
        "=",
        "sped=3",
        "sid_sizes=32",
        "dtype=fp16",
    ):
        yield ["run", "--set", budget]
        yield ["experiment", "arms", "--set", budget]
    for command in (["run"], ["experiment", "arms"]):
        for number in ("-1", "x", "1.5", "", "9" * 30):
            yield [*command, "--seed", number]
        yield [*command, "--out", str(a_file)]
        yield [*command, "--out", str(a_file / "below")]
        yield [*command, "--profile", "moon"]
        yield [*command, "--profile", ""]
        yield [*command, "--log", "amazon"]
        yield [*command, "--log", "amazon2023"]
        yield [*command, "--log", "amazon2023", "--reviews", str(gone), "--meta", str(gone)]
        yield [*command, "--log", "amazon2023", "--reviews", str(root), "--meta", str(a_file)]
        yield [*command, "--reviews", str(gone)]
        yield [*command, "--world", str(gone)]
        yield [*command, "--world", str(a_file)]
        yield [*command, "--set", "rl_steps=1", "rl_steps=2"]
    for option in ("--seeds", "--jobs"):
        for number in ("0", "-1", "two", "10000"):
            yield ["experiment", "arms", option, number]
    yield ["experiment", "alms"]
    for option, numbers in {"--seed": ("-1", "x"), "--items": ("0", "99", "-5", "x"), "--users": ("0", "-1")}.items():
        for number in numbers:
            yield ["data", option, number]
    yield ["data", "--out", str(a_file)]
    for profile in ("moon", "", "0"):
        yield ["book", "--profile", profile]
    yield ["book", "--only", "nothing*"]
    yield ["book", "--out", str(a_file)]
    for rows in (gone, a_file):
        yield ["ledger", "--rows", str(rows)]
    for file in (gone, a_file, root):
        yield ["results", str(file)]
        yield ["artifacts", str(file)]
    yield ["bench", "speed"]
    yield ["runn"]
    yield []


def attack_words(root: Path) -> Attack:
    """No budget that nonsense was given for may begin a run; every answer is one sentence, exit 2."""
    attack = Attack("command lines")
    fine = {"backbone", "embedder", "minutes"}  # names that only the network knows, and a remark

    def begins(*_, **__):
        raise SystemError("it begins")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunSpec, "__call__", lambda self, *_: begins() if self.source.open() else None)
        patch.setattr(ceilings, "generate", begins)
        patch.setenv("CRS_LITE_TRACEBACK", "1")
        for words in wrong_words(root):
            what = " ".join(words)
            try:
                with silence() as said:
                    status = __main__.main(words)
            except SystemExit as e:
                status = e.code
            except SystemError:
                allowed = any(f"{name}=" in what for name in fine)
                attack.count("same" if allowed else "silent", what)
                continue
            except BaseException as e:
                attack.count("traceback", f"{what}: {type(e).__name__}: {str(e)[:100]}")
                continue
            lines = said.getvalue().strip().splitlines()
            right = status == 2 and len(lines) == 1 and lines[0].startswith("error: ")
            attack.count(
                "refused" if right else "silent" if status == 0 else "traceback", f"{what}: {status} {lines[-1:]}"
            )
    return attack


# -- strings -----------------------------------------------------------------------------------------------

PIECES = [
    *("<think>", "</think>", "<eos>", "<bos>", "<pad>", "<a_1>", "<b_2><c_3>", "<d_0>", "<a_", "_1>", "<", ">", "|"),
    *('"', "\\", "\\u003c", "{", "}", "[", "]", ",", ":", '":"', '"query":"', "\n", "\r", "\t", "\x00", "\x1b[31m"),
    *("\u2028", "\u202e", "\u200b", "\ufeff", "\ud83d", "\udc00", "😀", "é", "e\u0301", "ﷺ", "İ", "ß", "𝔘", "a", " "),
    *("red", "for a woman", "cold weather", "Nordfell", "0", "1e9", "None", "null", "{:{:", "<!--", "&lt;think&gt;"),
]


def attack_strings(codec, n: int, rng: random.Random) -> Attack:
    """Queries, places, titles: no control or ID token comes out of them, the round trip is exact, nothing crashes."""
    attack = Attack("hostile strings")
    forbidden, ids = set(codec.not_words().tolist()), set(codec.sid_ids.ravel().tolist())
    parser, request = Parser(facet_values(codec.log)), codec.log.requests[0]
    for _ in range(n):
        text = "".join(rng.choices(PIECES, k=rng.randrange(1, 12)))
        try:
            written = escape(text, 10**6)
            clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            leaks = forbidden & set(codec.encode(written))
            if leaks or json.loads(f'"{written}"') not in (text, clean):
                attack.count("silent", f"{text!r}: {codec.decode(sorted(leaks)) or 'another text came back'}")
                continue
            try:
                asked = SearchRequest.model_validate({**request.model_dump(), "query": text, "place": text[::-1]})
            except ValidationError:  # half a surrogate pair, say: such a row does not enter a log
                attack.count("refused", text)
                continue
            context, prompt = codec.context(asked), codec.prompt(asked)
            if Context.from_json(context.to_json()) != context:
                attack.count("silent", f"{text!r}: the context does not come back")
                continue
            if inside := set(prompt[1:-1]) & (forbidden - ids):
                attack.count("silent", f"{text!r}: {codec.decode(sorted(inside))} in the prompt")
                continue
            parser.stated(text)
            attack.count("same", text)
        except Exception as e:
            attack.count("traceback", f"{text!r}: {type(e).__name__}: {str(e)[:100]}")
    return attack


class Hostile:
    """Strings as somebody might type them who means no good, and a shop in which every field is one."""

    def __init__(self, rng: random.Random):
        self.rng, self.made = rng, 0

    def __call__(self, most: int = 12) -> str:
        self.made += 1
        return "".join(self.rng.choices(PIECES, k=self.rng.randrange(1, most)))

    def shop(self) -> SearchLog:
        """The toy shop with other words in every field of items, shoppers and requests."""
        log, categories = toy.toy_log(12, 8), [self() for _ in range(3)]
        items = [
            Item.model_validate({
                **i.model_dump(), "key": self(), "title": self(), "brand": self.rng.choice([None, self()]),
                "category": categories[i.id // 8], "attributes": {self(4): self(4), "colour": self(4)},
            }) for i in log.items
        ]  # fmt: skip
        users = [
            User(id=u.id, key=self(), profile={self(4): self(), "city": ", ".join((self(), self()))}) for u in log.users
        ]
        said = [self() for _ in range(12)]
        asked = [
            SearchRequest.model_validate({
                **r.model_dump(), "query": self.rng.choice(said), "place": self.rng.choice([None, *said]),
                "entrance": self(),
            }) for r in log.requests
        ]  # fmt: skip
        return SearchLog("hostile", items, users, asked)


def attack_shops(codec, n: int, rng: random.Random) -> Attack:
    """Titles, the teacher, what is seen and counted, the audit, over shops of hostile words: the same must hold."""
    attack, say = Attack("hostile shops"), Hostile(rng)
    while say.made < n:
        log = say.shop()
        here = Codec(
            log, codec.sids, codec.tokenizer, {"budget": 220, "item_view": rng.choice(["sid", "title", "both"])}
        )
        forbidden = set(here.not_words().tolist()) | {here.end_think}
        ids = set(here.sid_ids.ravel().tolist())
        try:
            parser, evidence = Parser(facet_values(log)), Evidence(log)
            kind, how = rng.choice([Teacher, Foresight]), rng.choice(["see", "see-count"])
            teacher, sight = kind(log, evidence, TeacherBias(0.3, 0.3), rng.randrange(100)), Perception(here, how)
            train = log.split("train")
            texts = {f"teacher, request {r.id}": teacher.write(r) for r in train}
            texts |= {f"seen, request {r.id}": sight.write(r) for r in train[::8]}
            texts |= {f"item {i.id}": item_context(i) for i in log.items}
            texts |= {f"title {i.id}": escape(i.title) for i in log.items}
            draw = np.random.default_rng(0)
            texts |= {f"described {i.id}": teacher.describe(i.facets(), draw) for i in log.items}
            audit(
                [teacher.write(r) for r in train], [log.items[r.target].facets() for r in train], parser, train, teacher
            )
            audit([say(40) for _ in train], [log.items[r.target].facets() for r in train], parser, train, teacher)
            for what, text in texts.items():
                leaks = forbidden & set(here.encode(text))
                attack.count("silent" if leaks else "same", f"{what}: {text!r} holds {here.decode(sorted(leaks))}")
            for r in log.requests[::8]:
                inside = set(here.prompt(r)[1:-1]) & (forbidden - ids)
                sids = sum(text in ids for text in here.prompt(r))
                shown = here.context(r).history
                wanted = 4 * sum(ref.sid is not None for past in shown for ref in past.clicked + past.skipped)
                back = Context.from_json(here.context(r).to_json()) is not None
                attack.count(
                    "same" if back and not inside and sids == wanted else "silent", f"prompt of request {r.id}"
                )
        except Exception as e:
            attack.count("traceback", f"{type(e).__name__}: {str(e)[:100]}")
    return attack


def attack_sizes(codec, rng: random.Random) -> Attack:
    """A megabyte in a field: four times the text costs about four times the time."""
    attack, log = Attack("a megabyte"), codec.log
    parser = Parser({**facet_values(log), "shade": ["red"], "tone": ["red", "dark red"]})
    teacher = Teacher(log, Evidence(log))
    request, truth = log.split("train")[0], [log.items[log.split("train")[0].target].facets()]
    asked = request.model_dump()

    def context(text):
        wide = SearchRequest.model_validate({**asked, "query": text, "place": text, "entrance": text})
        assert len(codec.encode(codec.context(wide).to_json())) <= codec.builder.budget

    def refused(text):
        with contextlib.suppress(CRSError):
            Context.from_json(text)

    uses = {
        "title": amazon2023.clean, "parser": parser.stated, "context": context, "context JSON": refused,
        "escape": escape, "audit": lambda text: audit([text], truth, parser, [request], teacher),
    }  # fmt: skip
    for piece in [*SIZED, *("".join(rng.choices(PIECES, k=3)) for _ in range(10))]:
        for name, use in uses.items():
            seconds = []
            try:
                for size in (250_000, 1_000_000):
                    started = time.process_time()
                    use(piece * (size // len(piece)))
                    seconds.append(time.process_time() - started)
                slow = seconds[1] > 2 and seconds[1] > 9 * seconds[0]
                attack.count(
                    "silent" if slow else "same", f"{name} of {piece!r}: {seconds[0]:.1f} s, then {seconds[1]:.1f} s"
                )
            except ValidationError:
                attack.count("refused", piece)
            except Exception as e:
                attack.count("traceback", f"{name} of {piece!r}: {type(e).__name__}: {str(e)[:100]}")
    return attack


SIZED = (
    "{:", "<!--", "<a ", "<a x=", "&amp;", "&#9", '",', '["<a>', "[", '"<a>', "red tone ", "red. tone", "clicked ", '"',
    "a. ", "9", "clicked 9", "look for red ", "the last click red. ", "\\", "İ",
)  # fmt: skip


# -- rows ----------------------------------------------------------------------------------------------------


def attack_rows(root: Path, n: int, rng: random.Random) -> Attack:
    """Spoilt rows in the files of every format: named in one sentence, or accounted for; no other search changes."""
    attack = Attack("malformed rows")
    for name, sample in SAMPLES.items():
        files = sample()
        with silence():
            whole = requests(opened(name, root, files).log)
        for _ in range(n):
            option = rng.choice(sorted(files))
            row, lines = spoil(files[option], rng)
            what = f"{name} --{option}, row {row}: {lines[min(row, len(lines)) - 1][:80]!r}"
            try:
                with silence():
                    found = opened(name, root, files | {option: lines}, like=files)
            except CRSError as e:
                named = named_rows(files[option], row)
                right = f"{option}." in str(e) and any(f", row {m}: " in str(e) for m in named) and "\n" not in str(e)
                attack.count("refused" if right else "traceback", f"{what}: {e}")
                continue
            except Exception as e:
                attack.count("traceback", f"{what}: {type(e).__name__}: {str(e)[:100]}")
                continue
            accounts = found.about["account"]["files"]
            balanced = all(of["read"] == of["kept"] + sum(of["skipped"].values()) for of in accounts.values())
            balanced &= accounts[option]["read"] == n_rows(lines, files[option])
            balanced &= accounts[SEARCHES[name]]["kept"] == len(found.log.requests)
            now = requests(found.log)
            others = option in ("items", "meta", "users") or max((whole - now).total(), (now - whole).total()) <= 2
            attack.count("same" if balanced and others else "silent", what)
    return attack


# -- kills ---------------------------------------------------------------------------------------------------


def content(folder: Path) -> dict[str, object]:
    """Everything a finished run holds but what measures time."""
    found: dict[str, object] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and ".lock" not in p.name):
        data = path.read_bytes()
        if path.suffix == ".json":
            data = plain(json.loads(data))
        elif path.suffix == ".jsonl":
            data = [plain(json.loads(line)) for line in data.decode().splitlines()]
        found[str(path.relative_to(folder))] = data
    return found


def attack_kills(root: Path, do: Callable[[str], object], n: int, rng: random.Random, what: str) -> Attack:
    """`kill -9` at random moments of `do(name of a folder)`, which saves after every step; at the end everything is as
    if nothing had happened. Every life begins where the last one ended, until all is done; then another run begins."""
    attack = Attack(what)
    unfinished.SECONDS = 0.0

    def live(name: str, seconds: float | None) -> bool:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            status = 1
            with contextlib.suppress(BaseException):
                do(name)
                status = 0
            os._exit(status)
        if seconds is not None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise RuntimeError(f"{name}: a life ended by itself")
        return os.WIFEXITED(status)

    started = time.perf_counter()
    live(f"{what} undisturbed", None)
    whole = time.perf_counter() - started
    wanted, kills, run = content(root / f"{what} undisturbed"), 0, 0
    while kills < n:
        run += 1
        try:
            for _ in range(10):  # deaths of this run; the last life is undisturbed
                if live(f"{what} {run}", rng.uniform(0.05, whole / 3)):
                    break
                kills += 1
                attack.found["same"] += 1
            live(f"{what} {run}", None)
        except RuntimeError as e:
            attack.count("traceback", str(e))
            continue
        found = content(root / f"{what} {run}")
        other = sorted(k for k in wanted | found if wanted.get(k) != found.get(k))
        for name in other:
            attack.count("lost", f"{what} {run}: {name}")
        shutil.rmtree(root / f"{what} {run}")
    return attack


def main() -> int:
    """All attacks. Exit status 1 when one of them found a fault."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--strings", type=int, default=100_000)
    p.add_argument("--kills", type=int, default=100)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--rows", type=int, default=200, help="of each format")
    p.add_argument("--record", action="store_true", help="keep the figures, and write them into the book")
    p.add_argument("--only", help="one of the attacks")
    args = p.parse_args()
    torch.set_num_threads(1)
    found, begun = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        root = Path(place)
        open_run = opener(root, patch)
        attacks = {
            "kills": lambda rng: attack_kills(
                root, lambda name: pipeline.run(open_run(name)), args.kills - args.kills // 3, rng, "kill -9, a run"
            ),
            "experiment": lambda rng: attack_kills(
                root, experiment(root, open_run), args.kills // 3, rng, "kill -9, an experiment"
            ),
            "rows": lambda rng: attack_rows(root, args.rows, rng),
            "files": lambda rng: attack_files(root, open_run, rng),
            "words": lambda rng: attack_words(root),
            "strings": lambda rng: attack_strings(open_run("strings").codec, args.strings, rng),
            "shops": lambda rng: attack_shops(open_run("strings").codec, args.strings // 10, rng),
            "sizes": lambda rng: attack_sizes(open_run("strings").codec, rng),
        }
        for name, attack in attacks.items():
            if args.only in (None, name):
                started = time.perf_counter()
                found.append(attack(random.Random(args.seed)))
                found[-1].report()
                print(f"  {(time.perf_counter() - started) / 60:.1f} minutes", flush=True)
    if args.record:
        record(found, (time.perf_counter() - begun) / 60)
    return int(any(a.faults for a in found))


def experiment(root: Path, open_run) -> Callable[[str], object]:
    """-> makes the rows of an experiment in a folder of the given name."""

    def do(name: str) -> None:
        job = runner.Job("mapping", 0, lambda seed: open_run(name), root / name / "rows", "attack", "abc")
        runner.run_seed(job)

    return do


def record(found: list[Attack], minutes: float) -> None:
    """Figures and where they were made, in `paths.ATTACK` and on the page about faults."""
    kinds = ("refused", "same", "silent", "traceback", "lost")
    figures = {a.name: {"tries": sum(a.found.values()), **{k: a.found[k] for k in kinds}} for a in found}
    about = {"command": "make attack", "commit": recorded.code_version(), "date": date.today().isoformat()}
    about |= {"hardware": hardware(), "versions": versions(), "minutes": round(minutes, 1)}
    write_json(paths.ATTACK, {**about, "attacks": figures}, indent=1)
    results.put_block(sentences.PAGE, sentences.attack_block(), "attack")


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
