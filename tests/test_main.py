"""The command line: it explains itself, and wrong input costs one clear sentence."""

import json
import shutil
import subprocess
import sys

import pytest
import real_logs
import toy

from crs_lite import paths
from crs_lite.__main__ import main
from crs_lite.paths import ROOT
from crs_lite.profiles import get_profile
from crs_lite.study import results


def one_sentence(capsys, argv):
    assert main(argv) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error and "Traceback" not in error
    return error


def test_help_names_every_command():
    text = subprocess.run(
        [sys.executable, "-m", "crs_lite", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for word in ("data", "run", "book", "results", "examples"):
        assert word in text


def test_unknown_profile(capsys):
    assert "smoke, laptop, colab, gpu" in one_sentence(capsys, ["run", "--profile", "desktop"])


def test_unknown_budget(capsys):
    assert "profiles.py" in one_sentence(capsys, ["run", "--set", "sped=3"])


def test_missing_log_files(capsys, tmp_path):
    assert "--reviews FILE" in one_sentence(capsys, ["run", "--log", "amazon2023"])
    error = one_sentence(
        capsys,
        ["run", "--log", "amazon2023", "--reviews", str(tmp_path / "r.jsonl"), "--meta", str(tmp_path / "m.jsonl")],
    )
    assert "m.jsonl" in error or "r.jsonl" in error


def test_help_on_logs(capsys):
    assert main(["run", "--log", "help"]) == 0
    text = capsys.readouterr().out
    for word in ("ubi", "kuaisearch", "mylog", "amazon2023", "user_query", "impressed_item_ids", "strength"):
        assert word in text


def test_missing_world(capsys, tmp_path):
    assert "world.json" in one_sentence(capsys, ["run", "--world", str(tmp_path)])


def test_malformed_row_names_file_and_row(capsys, tmp_path):
    meta, reviews = tmp_path / "m.jsonl", tmp_path / "r.jsonl"
    meta.write_text(json.dumps({"parent_asin": "A", "title": "Saw blade", "store": "Bosch"}) + "\n{oops\n")
    reviews.write_text("")
    error = one_sentence(capsys, ["run", "--log", "amazon2023", "--reviews", str(reviews), "--meta", str(meta)])
    assert "m.jsonl" in error and "row 2" in error


def test_damaged_results_file(capsys, tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{")
    assert "x.json" in one_sentence(capsys, ["results", str(path)])


@pytest.mark.parametrize("argv", [["results", "nowhere.json"], ["book", "--profile", "moon"]])
def test_other_wrong_words(capsys, argv):
    one_sentence(capsys, argv)


def test_the_tables_of_the_enumerable_shop(capsys, tmp_path, monkeypatch):
    assert main(["enumerable"]) == 0
    text = capsys.readouterr().out
    assert (
        "| NDCG@6, all contexts |" in text and "python -m crs_lite enumerable --record" in text and "&nbsp;" not in text
    )
    monkeypatch.setattr(paths, "ENUMERABLE", tmp_path / "gone.json")
    assert "gone.json" in one_sentence(capsys, ["enumerable"])


@pytest.mark.slow
def test_from_a_shop_s_own_export_to_a_table(tmp_path, capsys):
    """The bulk format, queries without events, events without queries, unknown items: files in, table out."""
    files = real_logs.write(tmp_path, real_logs.ubi(120))
    words = ["run", "--log", "ubi", "--out", str(tmp_path / "run")]
    for option, path in files.items():
        words += [f"--{option}", str(path)]
    small = {k: v for k, v in vars(toy.PROFILE).items() if v != getattr(get_profile("smoke"), k)}
    written = [f"{k}={v}".replace("(", "").replace(")", "").replace(" ", "") for k, v in small.items()]
    assert main([*words, "--set", *written]) == 0
    said = capsys.readouterr().out
    made = results.load(tmp_path / "run" / "results.json")
    for option, of in made["log_about"]["account"]["files"].items():
        assert of["read"] == len(files[option].read_text(encoding="utf-8").splitlines())
        assert of["read"] == of["kept"] + sum(of["skipped"].values())
    assert results.markdown(made) in said and made["log"] == "ubi"
    assert (results.table(made)["share of ceiling"] == "no truth").all()
    assert "skipped: its item is not in the items file" in said and "before you believe a number" in said


@pytest.mark.slow
def test_two_seeds_of_an_experiment_at_the_same_time(tmp_path):
    for folder in ("crs_lite", "data"):  # a copy, whose runs/ nobody keeps
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    words = "experiment mapping --profile smoke --seeds 2 --jobs 2 --only kmeans --out rows --try"
    words += " --set mapping_epochs=1 check_items=10"
    subprocess.run([sys.executable, "-m", "crs_lite", *words.split()], cwd=tmp_path, check=True)
    made = [json.loads(p.read_text()) for p in sorted((tmp_path / "rows" / "mapping").iterdir())]
    assert [(row["row"], row["seed"], row["profile"]["check_items"]) for row in made] == [
        ("kmeans", 0, 10),
        ("kmeans", 1, 10),
    ]
    assert made[0]["command"].endswith(
        "experiment mapping --profile smoke --seeds 2 --set mapping_epochs=1 check_items=10"
    )
