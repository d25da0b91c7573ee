"""Command line: `python -m crs_lite --help`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from .errors import CRSError
from .opening import ROOT, OpenPipeline, budgets, open_log
from .profiles import PROFILES

SHIPPED = ROOT / "data" / "marketplace"
EVIDENCE = ROOT / "book" / "results" / "experiments" / "marketplace-laptop"

EXAMPLES = """examples:
  python -m crs_lite data                               regenerate the shipped marketplace, check its hash
  python -m crs_lite run --profile smoke                the whole system in about two minutes
  python -m crs_lite run --profile laptop --seed 1      the real thing on two cores
  python -m crs_lite run --profile smoke --log amazon2023 --reviews R.jsonl.gz --meta M.jsonl.gz
  accelerate launch --num_processes 2 -m crs_lite run   on two GPUs: training shared by two processes
  python -m crs_lite experiment arms --seeds 5 --jobs 2 R-GRPO against GRPO; finished rows are kept
  python -m crs_lite ledger                             claim by claim: verdict, effect, interval, command
  python -m crs_lite bench beam step                    ours against the stock libraries
  python -m crs_lite results runs/marketplace-laptop-0/results.json
  python -m crs_lite book --profile smoke               execute every notebook, build the pages
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m crs_lite", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="CRS: context-aware, reasoning-enhanced generative search for e-commerce, small enough to read.",
    )  # fmt: skip
    sub = p.add_subparsers(dest="command", required=True, metavar="{data,run,experiment,artifacts,handouts,ledger,book,bench,results}")

    data = sub.add_parser("data", help="regenerate the simulated marketplace and compare it with the frozen one")
    data.add_argument("--out", type=Path, default=SHIPPED, help="folder to write (default: data/marketplace)")
    data.add_argument("--seed", type=int, default=None, help="another world; the default is the frozen one")
    data.add_argument("--items", type=int, default=None, help="catalogue size of another world")

    run = sub.add_parser("run", help="the pipeline: align, distil, reinforce, consolidate, evaluate; resumes after a kill")
    run.add_argument("--profile", default="smoke", help=f"one of {', '.join(PROFILES)}")
    run.add_argument("--seed", type=int, default=0)
    _add_log(run)
    run.add_argument("--out", type=Path, help="run folder (default: runs/LOG-PROFILE-SEED)")
    run.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change single budgets of the profile")

    experiment = sub.add_parser("experiment", help="a named experiment over several seeds; each finished arm is one results file")
    experiment.add_argument("name", help="tune, tune-baselines, arms, loop, long-loop, temperature, main, mapping, noise, mend, capacity, lessons")
    experiment.add_argument("--profile", default="laptop", help=f"one of {', '.join(PROFILES)}")
    experiment.add_argument("--seeds", type=int, default=5, help="seeds 0 .. N-1")
    experiment.add_argument("--seed", type=int, help="this seed only")
    experiment.add_argument("--only", default="*", metavar="PATTERN", help="rows whose name matches, such as 'rgrpo-*'")
    experiment.add_argument("--jobs", type=int, default=1, help="seeds made at the same time; 2 on two cores is a third faster")
    _add_log(experiment)
    experiment.add_argument("--out", type=Path, help="folder of the rows (default: book/results/experiments/LOG-PROFILE)")
    experiment.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change single budgets of the profile")

    book = sub.add_parser("book", help="execute every notebook with papermill and build the HTML book")
    book.add_argument("--profile", default="smoke", help=f"one of {', '.join(PROFILES)}")
    book.add_argument("--out", type=Path, default=ROOT / "build")
    book.add_argument("--only", default="*", metavar="PATTERN", help="notebooks whose name matches, such as 'ch0*'")
    book.add_argument("--no-run", action="store_true", help="only build the pages")
    book.add_argument("--record", action="store_true", help="keep minutes, memory and metrics as those the chapters tell")

    bench = sub.add_parser("bench", help="time beams, rollouts, steps, the trie and K-means against the stock libraries")
    bench.add_argument("names", nargs="*", metavar="NAME", help="beam, rollout, step, trie, sid; default: all, about 10 minutes")
    bench.add_argument("--out", type=Path, default=ROOT / "runs" / "bench.json", help="results file; rows of other names in it stay")

    artifacts = sub.add_parser("artifacts", help="copy checkpoints of a finished laptop run to data/artifacts, for the chapters")
    artifacts.add_argument("run", type=Path, nargs="?", default=ROOT / "runs" / "marketplace-laptop-0", help="run folder")

    sub.add_parser("handouts", help="write book/colab: the chapters for class and Colab, without solutions")

    ledger = sub.add_parser("ledger", help="every claim of the paper and what the recorded rows say of it")
    ledger.add_argument("--rows", type=Path, default=EVIDENCE, help="folder of recorded rows (default: the book's)")
    ledger.add_argument("--write", action="store_true", help="write the table into README.md and book/ledger.md")

    results = sub.add_parser("results", help="print the table of a results file")
    results.add_argument("--readme", action="store_true", help="write the table of the recorded results into README.md")
    results.add_argument("files", nargs="*", type=Path, help="default: the recorded results of the book")
    return p


def _add_log(p: argparse.ArgumentParser) -> None:
    p.add_argument("--log", default="marketplace", choices=["marketplace", "amazon2023"])
    p.add_argument("--world", type=Path, default=SHIPPED, help="folder of a generated marketplace")
    p.add_argument("--reviews", type=Path, help="amazon2023: reviews file (.jsonl or .jsonl.gz)")
    p.add_argument("--meta", type=Path, help="amazon2023: metadata file (.jsonl or .jsonl.gz)")


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        return globals()[f"_{args.command}"](args)
    except CRSError as e:
        print(f"error: {e}", file=sys.stderr)
        return 2


def _data(args) -> int:
    from .marketplace.__main__ import write

    write(args.out, seed=args.seed, n_items=args.items)
    return 0


def _run(args) -> int:
    from . import processes
    from .profiles import get_profile

    processes.start()
    profile = get_profile(args.profile, **budgets(args.set))
    log, truth, embeddings = open_log(args.log, args.world, args.reviews, args.meta)
    from . import results
    from .pipeline import Pipeline

    out = args.out or ROOT / "runs" / f"{args.log}-{profile.name}-{args.seed}"
    command = f"python -m crs_lite run --profile {args.profile} --seed {args.seed}" + _source(args)
    if processes.process_number() > 0:
        sys.stdout = open(os.devnull, "w")  # one voice is enough
    print(f"profile {profile.name}, seed {args.seed}, log {log.name}: {len(log.items)} items, {len(log.requests)} requests")
    print(f"expect about {profile.minutes} on two CPU cores; finished stages in {out} are reused")
    made = Pipeline(log, truth, profile, args.seed, out, embeddings, command).run()
    if processes.process_number() == 0:
        results.save(out / "results.json", made)
    print()
    print(results.markdown(made))
    if made["synthetic_queries"]:
        print("Queries of this log are SYNTHETIC: made from words of the target's title and brand.")
        print(f"How much they leak: BM25 alone reaches HR@10 {made['query_leak']:.3f} on validation.")
    print(f"\nresults: {out / 'results.json'}")
    return 0


def _source(args) -> str:
    """The words of a command that name its log and its changed budgets."""
    words = f" --log {args.log} --reviews {args.reviews} --meta {args.meta}" if args.log != "marketplace" else ""
    words += f" --world {args.world}" if args.world != SHIPPED else ""
    return words + (f" --set {' '.join(args.set)}" if args.set else "")


def _experiment(args) -> int:
    from . import experiments

    if args.name not in experiments.EXPERIMENTS:
        raise CRSError(f"unknown experiment {args.name!r}; use one of {', '.join(experiments.EXPERIMENTS)}.")
    opener = OpenPipeline(args)
    log_name = args.log if args.log != "marketplace" else opener.log()[0].name
    out = args.out or ROOT / "book" / "results" / "experiments" / f"{log_name}-{opener.profile().name}"
    command = f"python -m crs_lite experiment {args.name} --profile {args.profile}"
    command += (f" --seeds {args.seeds}" if args.seed is None else f" --seed {args.seed}") + _source(args)
    seeds = range(args.seeds) if args.seed is None else [args.seed]
    jobs = [experiments.Job(args.name, seed, opener, out, command, args.only) for seed in seeds]
    made = experiments.run(jobs, min(args.jobs, len(jobs)))
    print(f"{made} new rows in {out / args.name}")
    return 0


def _book(args) -> int:
    from . import book, results
    from .profiles import get_profile

    get_profile(args.profile)
    report = book.build(args.profile, args.out, run_notebooks=not args.no_run, only=args.only)
    print(book.main_summary(report))
    if args.record:
        book.record(report)
        guide = ROOT / "book" / "instructors.md"
        guide.write_text(results.with_block(guide.read_text(), book.recorded_runs(), "runs"))
    return 0 if report.ok else 1


def _bench(args) -> int:
    from . import bench, results

    unknown = set(args.names) - set(bench.ALL)
    if unknown:
        raise CRSError(f"unknown benchmark {', '.join(sorted(unknown))}; use {', '.join(bench.ALL)}.")
    for name in args.names or bench.ALL:
        print(f"{name} ...", flush=True)
        results.add_bench(args.out, name, bench.ALL[name]())
    print(results.bench_markdown(results.load(args.out)))
    print(f"results: {args.out}")
    return 0


def _handouts(args) -> int:
    from . import handouts

    for path in handouts.write():
        print(path)
    return 0


def _artifacts(args) -> int:
    from . import artifacts

    artifacts.make(args.run, open_log("marketplace", SHIPPED, None, None)[0])
    print(f"checkpoints {', '.join(artifacts.STAGES)} of {args.run} are in {artifacts.FOLDER}")
    return 0


def _ledger(args) -> int:
    from . import ledger, results

    table = ledger.markdown(ledger.ledger(args.rows))
    print(table)
    if args.write:
        for path in (ROOT / "README.md", ROOT / "book" / "ledger.md"):
            path.write_text(results.with_block(path.read_text(), table, "ledger"))
    return 0


def _results(args) -> int:
    from . import results

    if args.readme:
        folder, readme = ROOT / "book" / "results", ROOT / "README.md"
        text = results.with_block(readme.read_text(), results.markdown(results.load(folder / "quickstart-laptop.json")))
        readme.write_text(results.with_block(text, results.bench_markdown(results.load(folder / "bench" / "cpu.json")), "bench"))
        return 0
    for path in args.files or sorted((ROOT / "book" / "results").glob("*.json")):
        print(f"{path.name}\n")
        print(results.markdown(results.load(path)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
