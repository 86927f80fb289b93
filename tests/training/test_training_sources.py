"""Sources that can only be read in order are copied: Parquet tables here, collections in tests/stack."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.training.captioned_images import CaptionedListing
from clip_vectorizer.training.contrastive_plan import COPY, ContrastivePlan
from clip_vectorizer.training.image_copies import DATA
from clip_vectorizer.training.labelled_images import read_labelled_images
from clip_vectorizer.training.probe_plan import ProbePlan
from clip_vectorizer.training.training_sources import open_source


def write_table(file: Path, metadata: dict[bytes, bytes] | None = None, **columns: Any) -> Path:
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata) if metadata else table, file)
    return file


@pytest.fixture
def plan(tmp_path: Path) -> ContrastivePlan:
    return ContrastivePlan(tmp_path / "rows.parquet", tmp_path / "out", "emoji")


def contents(listing: CaptionedListing) -> list[tuple[tuple[str, ...], bytes]]:
    return [(image.captions, image.read()) for image in listing.images]


def test_images_in_the_cells_are_copied_with_their_captions(plan: ContrastivePlan) -> None:
    cells = [{"bytes": b"first", "path": "a.png"}, {"bytes": b"second", "path": None}, {"bytes": b"bare", "path": ""}]
    write_table(plan.source, image=cells, caption=[["one", "uno"], [" two  words "], None])
    listing = open_source(plan)
    assert contents(listing) == [(("one", "uno"), b"first"), (("two words",), b"second")]
    assert listing.without_caption == 1
    assert (plan.work / COPY / DATA).read_bytes() == b"firstsecondbare"


def test_a_column_of_bytes_is_found_by_its_type(plan: ContrastivePlan) -> None:
    write_table(plan.source, pixels=[b"\x89PNG 1", b"\x89PNG 2"], text=["one", "two"])
    assert contents(open_source(plan)) == [(("one",), b"\x89PNG 1"), (("two",), b"\x89PNG 2")]


def test_paths_of_a_parquet_table_are_read_where_they_are(plan: ContrastivePlan, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    write_table(plan.source, path=["a.png", "b.png", "a.png"], caption=["one", "two", "uno"])
    assert contents(open_source(plan)) == [(("one", "uno"), b"a.png"), (("two",), b"b.png")]


def test_a_continued_training_reads_its_copy(plan: ContrastivePlan) -> None:
    write_table(plan.source, image=[b"\xff1", b"\xff2"], caption=["one", "two"])
    first = open_source(plan)
    assert open_source(plan, is_copying=False) == first  # another process of the same training
    plan.check_output()  # a copy alone is no training
    plan.source.unlink()
    assert open_source(replace(plan, resume=True)) == first
    with pytest.raises(InputError, match="no such file or folder"):
        open_source(plan)
    (plan.work / "curve.ndjson").write_text("")
    with pytest.raises(InputError, match="exists; name another --output"):
        plan.check_output()


def test_a_new_training_copies_anew(plan: ContrastivePlan) -> None:
    write_table(plan.source, image=[b"\xff1", b"\xff2"], caption=["one", "two"])
    open_source(plan)
    write_table(plan.source, image=[b"\xff3", b"\xff4"], caption=["three", "four"])
    assert contents(open_source(plan)) == [(("three",), b"\xff3"), (("four",), b"\xff4")]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"image": [b"\xff", b"\xff"]}, "has no column that is called caption, .* name one with --caption-column"),
        ({"caption": ["one", "two"], "size": [1, 2]}, "has no column that is called path, .* --path-column"),
        ({"image": [b"\xff"], "caption": ["one"]}, "1 image with a caption; contrastive training needs at least 2"),
    ],
)
def test_a_table_without_pairs_is_refused(plan: ContrastivePlan, columns: dict[str, Any], sentence: str) -> None:
    write_table(plan.source, **columns)
    with pytest.raises(InputError, match=sentence):
        open_source(plan)


def test_a_broken_parquet_file_is_named(plan: ContrastivePlan) -> None:
    plan.source.write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"rows\.parquet: not a Parquet file, or a broken one"):
        open_source(plan)


def test_numbers_of_labels_become_their_names(tmp_path: Path) -> None:
    label = {"_type": "ClassLabel", "names": ["cat", "dog"]}
    features = json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": label}}}).encode()
    table = write_table(
        tmp_path / "rows.parquet", {b"huggingface": features}, image=[b"\xff1", b"\xff2", b"\xff3"], label=[1, 0, -1]
    )
    found = list(read_labelled_images(ProbePlan(table, tmp_path / "o.npz", "emoji"), table))
    assert [(image.captions, image.content) for image in found] == [(("dog",), b"\xff1"), (("cat",), b"\xff2")]
