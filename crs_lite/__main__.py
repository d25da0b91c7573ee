"""Command line: `python -m crs_lite --help`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from crs_lite import deadline, paths
from crs_lite.arguments import OUT_OF_TIME, Parser, budgets, existing, minutes, new_folder, to_the_end, whole
from crs_lite.errors import CRSError
from crs_lite.profiles import PROFILES, get_profile

EXAMPLES = """examples:
  python -m crs_lite data                               regenerate the shipped marketplace, check its hash
  python -m crs_lite run --profile smoke                the whole system in about two minutes
  python -m crs_lite run --profile laptop --seed 1      the real thing on two cores
  python -m crs_lite run --profile laptop --minutes 50  as much of it as fits; the same command goes on
  python -m crs_lite run --log help                     the formats of real logs, their files and fields
  python -m crs_lite run --profile smoke --log amazon2023 --reviews R.jsonl.gz --meta M.jsonl.gz
  accelerate launch --num_processes 2 -m crs_lite run   on two GPUs: training shared by two processes
  python -m crs_lite experiment arms --seeds 5 --jobs 2 R-GRPO against GRPO; finished rows are kept
  python -m crs_lite ledger                             claim by claim: verdict, effect, interval, command
  python -m crs_lite enumerable --record --write        the shop that is small enough to sum over, and its page
  python -m crs_lite bench beam step                    ours against the stock libraries
  python -m crs_lite scale                              a million items, ten million searches: memory, minutes
  python -m crs_lite draft --teacher smollm2            a language model writes lessons: how many can be kept?
  python -m crs_lite results runs/marketplace-large-laptop-0/results.json
  python -m crs_lite book --profile smoke               execute every notebook, build the pages
"""


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    p = Parser(
        prog="python -m crs_lite",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="CRS: context-aware, reasoning-enhanced generative search for e-commerce, small enough to read.",
    )
    sub = p.add_subparsers(dest="command", required=True, metavar="COMMAND")

    data = sub.add_parser("data", help="regenerate the simulated marketplace and compare it with the frozen one")
    data.add_argument(
        "--out", type=new_folder, default=paths.SHIPPED, help="folder to write (default: data/marketplace)"
    )
    data.add_argument("--seed", type=whole(0), help="another world; without any number: the frozen one")
    data.add_argument("--items", type=whole(100, 10**6), help="catalogue size of another world")
    data.add_argument("--users", type=whole(1, 10**7), help="number of shoppers of another world")

    run = sub.add_parser(
        "run", help="the pipeline: align, distil, reinforce, consolidate, evaluate; resumes after a kill"
    )
    run.add_argument("--profile", default="smoke", help=f"one of {', '.join(PROFILES)}")
    run.add_argument("--seed", type=whole(0), default=0)
    _add_source(run)
    _add_minutes(run)
    run.add_argument("--out", type=new_folder, help="run folder (default: runs/LOG-PROFILE-SEED)")

    experiment = sub.add_parser("experiment", help="a named experiment over several seeds; a finished arm is one row")
    experiment.add_argument("name", help="as `book/code.md` lists them, such as arms, loop, main")
    experiment.add_argument("--profile", default="first", help=f"one of {', '.join(PROFILES)}")
    experiment.add_argument("--seeds", type=whole(1, 1000), default=5, help="seeds 0 .. N-1")
    experiment.add_argument("--seed", type=whole(0), help="this seed only")
    experiment.add_argument("--only", default="*", metavar="PATTERN", help="rows whose name matches, such as 'rgrpo-*'")
    experiment.add_argument(
        "--jobs", type=whole(1, 1000), default=1, help="seeds made side by side, one thread each on two cores"
    )
    experiment.add_argument(
        "--try", action="store_true", dest="trying", help="allow uncommitted code; rows go to runs/tried"
    )
    _add_source(experiment)
    _add_minutes(experiment)
    experiment.add_argument(
        "--out", type=new_folder, help="folder of rows (default: book/results/experiments/LOG-PROFILE)"
    )

    book = sub.add_parser("book", help="execute every notebook with papermill and build the HTML book")
    book.add_argument("--profile", default="smoke", help=f"one of {', '.join(PROFILES)}")
    book.add_argument("--out", type=new_folder, default=paths.BUILD)
    book.add_argument("--only", default="*", metavar="PATTERN", help="notebooks whose name matches, such as 'ch0*'")
    book.add_argument("--no-run", action="store_true", help="only build the pages")
    book.add_argument(
        "--record", action="store_true", help="keep minutes, memory and metrics as those the chapters tell"
    )

    bench = sub.add_parser(
        "bench", help="time beams, rollouts, steps, the trie, K-means and a backbone against the stock libraries"
    )
    bench.add_argument(
        "names", nargs="*", metavar="NAME", help="beam, rollout, step, trie, sid, pretrained; default: all, 11 minutes"
    )
    out = paths.RUNS / "bench.json"
    bench.add_argument("--out", type=Path, default=out, help="results file; rows of other names in it stay")

    scale = sub.add_parser("scale", help="a log too large for objects, from files to a beam step: memory and minutes")
    scale.add_argument("--items", type=whole(1000, 10**8), default=10**6)
    scale.add_argument("--searches", type=whole(1000, 10**9), default=10**7)
    scale.add_argument("--contexts", type=whole(10, 10**6), default=10**4, help="requests whose contexts are made")
    scale.add_argument("--record", action="store_true", help="keep what was measured as what the book tells")

    hours = sub.add_parser("hours", help="what a pretrained backbone would take on a core or a T4: by arithmetic")
    hours.add_argument("--record", action="store_true", help="count the lessons anew: a minute")
    hours.add_argument("--write", action="store_true", help="write the tables into book/engine.md and instructors.md")
    draft = sub.add_parser("draft", help="a chat model as teacher: it writes drafts, and what can be checked is kept")
    draft.add_argument("--teacher", default="smollm2", help="smollm2, the folder of a chat model, or a hub name")
    draft.add_argument("--requests", type=whole(1, 10**6), default=20, help="training requests of the shipped shop")
    draft.add_argument("--drafts", type=whole(1, 1000), default=4, help="of each request")
    draft.add_argument("--tokens", type=whole(1, 10**4), default=80, help="of a draft, at most")
    draft.add_argument("--temperature", type=float, default=0.7)
    draft.add_argument("--seed", type=whole(0), default=0)
    draft.add_argument("--hindsight", action="store_true", help="tell it the click")
    draft.add_argument("--judge", default="distilled", help="checkpoint whose beam must find the target")
    draft.add_argument("--record", action="store_true", help="keep what was kept as what the book tells")

    artifacts = sub.add_parser("artifacts", help="copy checkpoints of a finished laptop run to data/artifacts")
    run_folder = paths.RUNS / "marketplace-large-laptop-0"
    artifacts.add_argument("run", type=Path, nargs="?", default=run_folder, help="run folder")

    sub.add_parser("handouts", help="write book/colab: the chapters for class and Colab, without solutions")

    sub.add_parser("sentences", help="write the page of everything the program can say when something goes wrong")

    slides = sub.add_parser("slides", help="the chapters' figures for class: one file each, and a page that shows them")
    slides.add_argument("--out", type=new_folder, default=paths.BUILD / "slides")

    ledger = sub.add_parser("ledger", help="every claim of the paper and what the recorded rows say of it")
    ledger.add_argument(
        "--rows",
        type=existing,
        default=paths.EVIDENCE,
        help="folder of rows under the first protocol (default: the book's)",
    )
    ledger.add_argument("--second", type=existing, default=paths.SECOND, help="the same under the second protocol")
    ledger.add_argument("--real", type=existing, default=paths.REAL, help="the same on a real log")
    ledger.add_argument("--write", action="store_true", help="write the tables into README.md and book/ledger.md")

    shop = sub.add_parser("enumerable", help="the shop that is small enough to sum over: what it shows, as tables")
    shop.add_argument("--record", action="store_true", help="make the results file anew: two to five minutes")
    shop.add_argument("--write", action="store_true", help="write its numbers into book/enumerable-shop.md")

    results = sub.add_parser("results", help="print the table of a results file")
    results.add_argument("--index", action="store_true", help="the recorded rows of every experiment at a glance")
    results.add_argument("--list", action="store_true", help="list the rows that are there: a listed one is missed")
    results.add_argument("--write", action="store_true", help="write the recorded benchmarks into book/engine.md")
    results.add_argument("files", nargs="*", type=Path, help="default: the recorded results of the book")
    return p


def _add_source(p: argparse.ArgumentParser) -> None:
    """Options that say which log, from which files, with which changed budgets."""
    from crs_lite.adapters import registry

    names = [*registry.FORMATS, "help"]
    p.add_argument("--log", choices=names, help="`help` lists formats, files and fields (default: the profile's)")
    for option, what in registry.options().items():
        p.add_argument(f"--{option}", type=Path, help=what)
    p.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change single budgets of the profile")


def _add_minutes(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--minutes",
        type=minutes,
        metavar="N",
        help="end after so many minutes, at the next safe point: between two training steps, or before the next stage "
        f"or row; exit status {OUT_OF_TIME}, and the same command goes on from there",
    )


def _spec(args):
    """-> (what to run, the words that say so): profile, log, files, changed budgets."""
    from crs_lite.adapters import registry

    profile = get_profile(args.profile, **budgets(args.set))  # before anything large is imported
    from crs_lite.prepared import RunSpec

    files = {option: path for option in registry.options() if (path := getattr(args, option)) is not None}
    known = "marketplace" if files else profile.log  # the large log reads no files
    source = registry.LogSource(args.log or known, files)
    words = source.words(known) + (f" --set {' '.join(args.set)}" if args.set else "")
    return RunSpec(profile, source), words


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, or another after one sentence that says what ended it (see
    `arguments`)."""

    def command() -> int:
        args = parser().parse_args(argv)
        deadline.set_to(deadline.after(getattr(args, "minutes", None)))
        if getattr(args, "log", None) == "help":
            from crs_lite.adapters import registry

            print(registry.help())
            return 0
        return globals()[f"_{args.command}"](args)

    return to_the_end(command)


def _data(args) -> int:
    from crs_lite.study import ceilings

    ceilings.write(args.out, seed=args.seed, n_items=args.items, n_users=args.users)
    return 0


def _run(args) -> int:
    spec, words = _spec(args)
    from crs_lite.model import distributed

    distributed.start()
    if distributed.process_number() > 0:
        sys.stdout = open(os.devnull, "w")  # one voice is enough
    p = spec(args.seed, args.out)
    profile, log, out = p.profile, p.log, p.work.root
    print(
        f"profile {profile.name}, seed {p.seed}, log {log.name}: {len(log.items)} items, {len(log.requests)} requests"
    )
    print(f"expect about {profile.minutes} on two CPU cores; finished stages in {out} are reused")

    from crs_lite import pipeline
    from crs_lite.study import recorded, results

    command = f"python -m crs_lite run --profile {args.profile} --seed {args.seed}" + words
    made = pipeline.run(p, command, recorded.code_version())
    if distributed.process_number() == 0:
        results.save(out / "results.json", made)
    print()
    print(results.markdown(made))
    if made["synthetic_queries"]:
        print("Queries of this log are SYNTHETIC: made from words of the target's title and brand.")
        print(f"How much they leak: BM25 alone reaches HR@10 {made['query_leak']:.3f} on validation.")
    print(f"\nresults: {out / 'results.json'}")
    return 0


def _experiment(args) -> int:
    from crs_lite.study import recorded
    from crs_lite.study.experiments import EXPERIMENTS, runner

    if args.name not in EXPERIMENTS:
        raise CRSError(f"unknown experiment {args.name!r}; use one of {', '.join(EXPERIMENTS)}.")
    spec, words = _spec(args)
    log_name = spec.source.open().log.name
    commit = recorded.code_version() if args.trying else recorded.committed()
    out = args.out or (paths.TRIED if args.trying else paths.EXPERIMENTS) / f"{log_name}-{spec.profile.name}"
    seeds = range(args.seeds) if args.seed is None else [args.seed]
    which = f" --seeds {args.seeds}" if args.seed is None else f" --seed {args.seed}"
    command = f"python -m crs_lite experiment {args.name} --profile {args.profile}{which}{words}"
    jobs = [runner.Job(args.name, seed, spec, out, command, commit, args.only) for seed in seeds]
    made = runner.run(jobs, min(args.jobs, len(jobs)))
    print(f"{made} new rows in {out / args.name}")
    return 0


def _book(args) -> int:
    from crs_lite.site import build
    from crs_lite.study import results

    get_profile(args.profile)
    report = build.build_book(args.profile, args.out, run_notebooks=not args.no_run, only=args.only)
    print(build.main_summary(report))
    if args.record:
        build.record(report)
        results.put_block(paths.BOOK / "instructors.md", build.recorded_runs(), "runs")
    return 0 if report.ok else 1


def _bench(args) -> int:
    from crs_lite.study import bench, results

    unknown = set(args.names) - set(bench.ALL)
    if unknown:
        raise CRSError(f"unknown benchmark {', '.join(sorted(unknown))}; use {', '.join(bench.ALL)}.")
    for name in args.names or bench.ALL:
        print(f"{name} ...", flush=True)
        results.add_bench(args.out, name, bench.ALL[name]())
    print(results.bench_markdown(results.load(args.out)))
    print(f"results: {args.out}")
    return 0


def _scale(args) -> int:
    from crs_lite.study import recorded, results, scale

    commit = recorded.committed() if args.record else recorded.code_version()
    numbers = f"--items {args.items} --searches {args.searches} --contexts {args.contexts}"
    command = f"python -m crs_lite scale {numbers}"
    made = scale.measure(args.items, args.searches, args.contexts, command, commit)
    results.save(paths.SCALE if args.record else paths.RUNS / "scale.json", made.model_dump())
    print(scale.markdown(made))
    return 0


def _hours(args) -> int:
    from crs_lite import commands

    return commands.hours(args)


def _draft(args) -> int:
    from crs_lite import commands

    return commands.draft(args)


def _handouts(args) -> int:
    from crs_lite.site import address, handouts, reading
    from crs_lite.study import results

    for path in handouts.write():
        print(path)
    where = address.address()
    results.put_block(paths.ROOT / "README.md", reading.core_path(where), "path")
    return 0


def _slides(args) -> int:
    from crs_lite.site import slides

    made = slides.write(args.out)
    print(f"{len(made) - 1} figures; open {made[-1]}")
    return 0


def _sentences(args) -> int:
    from crs_lite.site import sentences

    print(sentences.write())
    return 0


def _artifacts(args) -> int:
    from tempfile import TemporaryDirectory

    from crs_lite.adapters.registry import LogSource
    from crs_lite.chapters import checkpoints
    from crs_lite.prepared import RunSpec

    checkpoints.finished(args.run)  # before the large log is made
    profile = get_profile("laptop")
    with TemporaryDirectory() as apart:
        checkpoints.make(args.run, RunSpec(profile, LogSource(profile.log))(0, Path(apart)))
    print(f"checkpoints {', '.join(checkpoints.STAGES)} of {args.run} are in {paths.CHECKPOINTS}")
    return 0


def _ledger(args) -> int:
    from crs_lite.study import ledger, ledger_page, real_log, results, second

    first, newer = ledger.ledger(args.rows), second.ledger(args.second)
    real = real_log.markdown(args.real)
    print(f"Under the second protocol:\n\n{ledger.markdown(newer)}\nUnder the first:\n\n{ledger.markdown(first)}")
    print(f"On a real log:\n\n{real}")
    if args.write:
        results.put_block(paths.ROOT / "README.md", ledger_page.short(newer), "ledger-2")
        for name, block in ledger_page.blocks(first, newer).items():
            results.put_block(paths.BOOK / "ledger.md", block, name)
        results.put_block(paths.BOOK / "ledger.md", real, "ledger-real")
    return 0


def _enumerable(args) -> int:
    from crs_lite.study import enumerated, results

    made = enumerated.record(paths.ENUMERABLE) if args.record else results.load(paths.ENUMERABLE)
    print("\n".join(enumerated.tables(made).values()).replace("&nbsp;", " "))
    if args.write:
        enumerated.write_page(paths.BOOK / "enumerable-shop.md", made)
    return 0


def _results(args) -> int:
    from crs_lite.study import recorded, results

    if args.list:
        for folder in sorted(d for d in paths.EXPERIMENTS.iterdir() if d.is_dir()):
            print(f"{folder.name}: {recorded.renew_listing(folder)} rows")
        return 0
    if args.index:
        for folder in sorted(d for d in paths.EXPERIMENTS.iterdir() if d.is_dir()):
            print(f"{folder.name}\n")
            print(recorded.index(folder).to_string(index=False))
        return 0
    if args.write:
        results.put_block(paths.BOOK / "engine.md", results.bench_markdown(results.load(paths.BENCH)), "bench")
        return 0
    for path in args.files or [paths.QUICKSTART]:
        print(f"{path.name}\n")
        print(results.markdown(results.load(path)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
