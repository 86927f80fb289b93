"""`clip-vectorizer models`: what it prints for people and for programs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clip_vectorizer.cli import main
from clip_vectorizer.models.listing import SORT_NAMES

COLUMNS = 80
COMPLETE = {
    "name": "ViT-B-32-256::datacomp_s34b_b86k",
    "architecture": "ViT-B-32-256",
    "tag": "datacomp_s34b_b86k",
    "parameters": 151_288_833,
    "resolution": 256,
    "dimension": 512,
    "context": 77,
    "tokenizer": "CLIP BPE",
    "top1": 0.7281,
    "top1_source": "open_clip docs/openclip_results.csv",
    "licence": "MIT",
    "licence_source": "card of the model on the hub",
    "cached": False,
}


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of downloaded models."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def run_models(*words: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["models", *words])
    assert result.exit_code == exit_code, result.output
    return result


def lines(*words: str) -> list[str]:
    return run_models(*words).stdout.splitlines()


def rows(*words: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines(*words, "--json")]


def test_the_table_fits_80_columns() -> None:
    printed = lines()
    assert len(printed) > 190
    assert max(len(line) for line in printed) <= COLUMNS
    assert printed[0].split() == ["name", "M", "GFLOP", "px", "top-1"]


def test_a_row_has_size_cost_and_accuracy() -> None:
    [_, row] = lines("vit-b-32-256", "datacomp")
    assert row.split() == ["ViT-B-32-256::datacomp_s34b_b86k", "151", "17.5", "256", "72.8"]


def test_wide_has_all_columns() -> None:
    [head, row] = lines("vit-b-32-256", "datacomp", "--wide")
    assert head.split() == [
        *("name", "M", "GFLOP", "px", "dim", "context", "tokenizer", "top-1", "source", "licence"),
    ]
    assert row.rstrip().endswith("openclip_results.csv  MIT")


def test_json_has_everything() -> None:
    [row] = rows("vit-b-32-256", "datacomp")
    assert {key: row[key] for key in COMPLETE} == COMPLETE
    assert tuple(row) == SORT_NAMES
    assert row["gflop"] == pytest.approx(17.46, abs=0.01)


def test_all_words_must_be_in_the_name() -> None:
    found = [str(row["name"]) for row in rows("SigLIP2", "b-16")]
    assert len(found) == 4
    assert all("B-16-SigLIP2" in name for name in found)


def test_openais_name_finds_openais_model() -> None:
    assert [row["name"] for row in rows("ViT-L/14@336px")] == ["ViT-L-14-336::openai"]
    assert {row["architecture"] for row in rows("RN50x4")} == {"RN50x4", "RN50x4-quickgelu"}


def test_no_model_is_said_so() -> None:
    result = run_models("vit", "tomato")
    assert result.stdout.split() == ["name", "M", "GFLOP", "px", "top-1"]
    assert result.stderr == "no model has vit and tomato in its name\n"


@pytest.mark.parametrize("column", SORT_NAMES)
def test_every_column_sorts(column: str) -> None:
    values = [row[column] for row in rows("--sort", column)]
    known = [value for value in values if value not in (None, "")]
    assert values[len(known) :] == [value for value in values if value in (None, "")]
    keys = [value.lower() if isinstance(value, str) else value for value in known]
    assert keys == sorted(keys, reverse=column in ("top1", "cached"))


def test_a_star_marks_what_is_on_this_machine(store: Path) -> None:
    file = store / "models--laion--CLIP-ViT-B-32-256x256-DataComp-s34B-b86K/snapshots/1/open_clip_model.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    assert [line.split()[1] for line in lines() if line.startswith("*")] == ["emoji", COMPLETE["name"]]
    assert [row["name"] for row in rows("--sort", "cached")][:2] == ["emoji", COMPLETE["name"]]


def test_architectures_with_random_weights_are_a_list_of_their_own() -> None:
    names = [str(row["name"]) for row in rows("--random")]
    assert len(names) > 110 and all(name.endswith("::random") for name in names)
    assert not any(str(row["name"]).endswith("::random") for row in rows())


def test_wide_and_json_do_not_work_together() -> None:
    result = run_models("--wide", "--json", exit_code=2)
    assert "--wide does not work with --json: JSON has all columns" in result.stderr


def test_an_unknown_column_is_a_usage_error() -> None:
    assert "'size' is not one of" in run_models("--sort", "size", exit_code=2).stderr
