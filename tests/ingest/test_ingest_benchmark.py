"""What the benchmark of ingests can be held to without a database."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.ingest.files import Kind, fill
from benchmarks.ingest.sides import Took
from benchmarks.photographs import add_comment, make_photograph

SMALL_MIX = (Kind((40, 30), 75, 3), Kind((64, 48), 25, 2))


def contents(folders: list[Path]) -> dict[str, bytes]:
    return {f"{folder.name}/{file.name}": file.read_bytes() for folder in folders for file in folder.iterdir()}


def test_no_two_files_of_any_folder_share_bytes_or_a_name(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    fill(dict.fromkeys(folders, 100), SMALL_MIX)
    made = contents(folders)
    assert len(made) == len(set(made.values())) == 200
    assert len({name.partition("/")[2] for name in made}) == 200


def test_a_hundred_files_have_the_shares_of_the_mix(tmp_path: Path) -> None:
    fill({tmp_path / "all": 100}, SMALL_MIX)
    sizes = Counter(Image.open(io.BytesIO(data)).size for data in contents([tmp_path / "all"]).values())
    assert sizes == {(40, 30): 75, (64, 48): 25}


def test_the_same_call_makes_the_same_files(tmp_path: Path) -> None:
    for name in ("first", "second"):
        fill({tmp_path / name / "all": 20}, SMALL_MIX)
    assert contents([tmp_path / "first" / "all"]) == contents([tmp_path / "second" / "all"])


def test_a_comment_changes_the_bytes_and_no_pixel() -> None:
    plain = make_photograph(0, (40, 30))
    marked = add_comment(plain, b"another")
    assert marked != plain
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(marked))), np.asarray(Image.open(io.BytesIO(plain))))


def test_a_rate_excludes_the_start_of_the_process_by_default() -> None:
    took = Took(items=100, seconds=4.0, process_seconds=5.0)
    assert took.rate == pytest.approx(25)
    assert took.process_rate == pytest.approx(20)
