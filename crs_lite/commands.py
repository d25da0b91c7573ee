"""What the longer commands do, apart from their options."""

from __future__ import annotations

from pathlib import Path

from crs_lite import paths
from crs_lite.profiles import get_profile


def hours(args) -> int:
    """How long a pretrained backbone would take on a core and on a T4; with `--record` its lessons are counted anew."""
    from crs_lite.study import pretrained, recorded, results, t4

    if args.record:
        from tempfile import TemporaryDirectory

        from crs_lite.prepared import RunSpec

        with TemporaryDirectory() as apart:
            p = RunSpec(get_profile("colab"))(0, Path(apart))
            made = pretrained.counted(p, "python -m crs_lite hours --record", recorded.committed())
        results.save(paths.LESSONS, made.model_dump())
    made = pretrained.load(paths.LESSONS)
    block, on_t4 = pretrained.markdown(made, results.load(paths.BENCH)), t4.markdown(made, get_profile("colab"))
    print(block)
    print(on_t4)
    if args.write:
        results.put_block(paths.BOOK / "engine.md", block, "hours")
        results.put_block(paths.BOOK / "instructors.md", on_t4, "t4")
    return 0


def draft(args) -> int:
    """A chat model writes lessons, and what can be checked of them is counted."""
    from crs_lite import marketplace
    from crs_lite.chapters import checkpoints
    from crs_lite.prepared import sample
    from crs_lite.ranker import rank_with
    from crs_lite.reasoning import chat, drafts
    from crs_lite.reasoning.teacher import Evidence
    from crs_lite.study import drafted, recorded, results

    commit = recorded.committed() if args.record else recorded.code_version()
    log, _ = marketplace.load(paths.SHIPPED)
    codec = checkpoints.codec(log)
    beam = rank_with(checkpoints.model(args.judge), codec, 10)
    how = (args.drafts, args.temperature, args.seed, args.tokens)
    writer, cache = chat.Chat.load(args.teacher), paths.RUNS / "drafts.jsonl"
    teacher = drafts.ChatTeacher(log, Evidence(log), writer, *how, hindsight=args.hindsight, cache=cache)
    options = ("teacher", "requests", "drafts", "tokens", "temperature", "seed", "judge")
    command = " ".join(["python -m crs_lite draft", *(f"--{o} {getattr(args, o)}" for o in options)])
    command += " --hindsight" if args.hindsight else ""
    asked = sample(log.split("train"), args.requests, 6)
    made = drafted.measure(teacher, asked, codec, beam, args.judge, command, commit)
    out = paths.DRAFTS if args.record else paths.RUNS / "drafts.json"
    results.save(out, made.model_dump())
    print(drafted.table(made).to_string())
    print(f"\n{made.tokens_read:,} tokens read, {made.tokens_written:,} written, {made.seconds:.0f} s; results: {out}")
    return 0
