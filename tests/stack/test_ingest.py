"""clip-ingest against a real Weaviate: images are stored once, never twice, and failures are reported."""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pyarrow
import pyarrow.parquet
import pytest

from benchmarks.photographs import make_photograph
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.images.model_input import parse_version
from clip_vectorizer.images.pixel_check import digest_recipe
from clip_vectorizer.images.settings import USUAL_DECODING
from tests.ingest.sources.pdf_files import filled, pdf
from tests.stack.conftest import Run, fresh_collection
from tests.stack.images import bomb, png, truncated_png
from tests.stack.support import EXAMPLES, Ran, Stack

pytestmark = pytest.mark.stack

PASSWORD = "geheim 7"
COUNTS = ("added", "updated", "unchanged", "failed")
OLD = 1_700_000_000  # seconds since 1970


def counted(ran: Ran) -> dict[str, Any]:
    """The one summary on stdout; its counts add up to the files seen."""
    [summary] = ran.rows
    assert summary["seen"] == sum(summary[count] for count in COUNTS), summary
    return {name: summary[name] for name in ("seen", *COUNTS)}


def stored(stack: Stack, collection: str) -> dict[str, Any]:
    """The objects of a collection by path."""
    answer = stack.weaviate("GET", f"/v1/objects?class={collection}&limit=1000&include=vector").json()
    return {row["properties"]["path"]: row for row in answer["objects"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five drawings in two folders, new for every test: no two tests share a path.

    They are old: a file that changed a moment ago has no stamp yet, so that a change is not missed.
    """
    root = tmp_path / "pictures"
    for drawing in ("fruit/banana", "fruit/lemon", "fruit/pear", "birds/owl", "birds/swan"):
        target = root / tmp_path.name / f"{drawing}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / f"{drawing}.png", target)
        os.utime(target, (OLD, OLD))
    return root


def test_every_example_comes_in_with_its_folder_as_label(stack: Stack, examples: str) -> None:
    files = {file.relative_to(EXAMPLES).as_posix() for file in EXAMPLES.rglob("*.png")}
    objects = stored(stack, examples)
    assert objects.keys() == files
    assert all(row["properties"]["label"] == Path(path).parent.name for path, row in objects.items())
    assert all(row["vectors"]["clip"] for row in objects.values())


def test_a_second_ingest_uploads_nothing(run: Run, stack: Stack, collection: str, folder: Path) -> None:
    first = counted(run("clip-ingest", folder, "--collection", collection, "--json"))
    assert first == {"seen": 5, "added": 5, "updated": 0, "unchanged": 0, "failed": 0}
    before = {path: row["lastUpdateTimeUnix"] for path, row in stored(stack, collection).items()}
    second = counted(run("clip-ingest", folder, "--collection", collection, "--json"))
    assert second == {"seen": 5, "added": 0, "updated": 0, "unchanged": 5, "failed": 0}
    assert before == {path: row["lastUpdateTimeUnix"] for path, row in stored(stack, collection).items()}


@pytest.mark.parametrize("way", [(), ("--embed", "client")], ids=["module", "client"])
def test_vectors_are_those_of_the_files_though_the_models_pixels_are_sent(
    run: Run, stack: Stack, collection: str, tmp_path: Path, way: tuple[str, ...]
) -> None:
    files = {f"{tmp_path.name}-{size[0]}.jpg": make_photograph(size[0], size) for size in ((640, 480), (333, 500))}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with VectorizerClient(stack.vectorizer_url) as sidecar:
        info, vectors_nd = sidecar.meta(), sidecar.embed_images(list(files.values()))
    recipe = parse_version(info.preprocessing)
    assert recipe and digest_recipe(recipe, USUAL_DECODING) == info.pixel_check  # or the files would be sent
    assert counted(run("clip-ingest", tmp_path, "--collection", collection, "--json", *way))["added"] == len(files)
    objects = stored(stack, collection)
    for (name, data), vector_d in zip(files.items(), vectors_nd, strict=True):
        assert 1 - np.dot(objects[name]["vectors"]["clip"], vector_d) < 1e-6
        properties = objects[name]["properties"]
        assert (properties["sha256"], properties["size"]) == (hashlib.sha256(data).hexdigest(), len(data))
        assert properties["mime"] == "image/jpeg" and properties["thumbnail"]


def test_a_changed_file_is_updated_in_place_with_a_new_vector(
    run: Run, stack: Stack, collection: str, folder: Path
) -> None:
    run("clip-ingest", folder, "--collection", collection)
    before = stored(stack, collection)
    [lemon] = folder.rglob("lemon.png")
    shutil.copy(EXAMPLES / "animals" / "panda.png", lemon)
    again = counted(run("clip-ingest", folder, "--collection", collection, "--json"))
    assert again == {"seen": 5, "added": 0, "updated": 1, "unchanged": 4, "failed": 0}
    after = stored(stack, collection)
    path = lemon.relative_to(folder).as_posix()
    assert after.keys() == before.keys()
    assert after[path]["id"] == before[path]["id"]
    assert after[path]["vectors"]["clip"] != before[path]["vectors"]["clip"]
    assert after[path]["properties"]["sha256"] != before[path]["properties"]["sha256"]


@pytest.fixture
def wild(tmp_path: Path) -> list[Path]:
    """A table with images in its cells, a WebDataset shard, a list of paths and an encrypted PDF file of two pages."""
    cells = [{"bytes": png((number, 90, 0)), "path": path} for number, path in ((1, "cat.png"), (2, None))]
    cells.append({"bytes": None, "path": "gone.png"})
    features = {"label": {"names": ["cat", "wolf"], "_type": "ClassLabel"}}
    table = pyarrow.table({"image": cells, "label": [0, 1, 1]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    with zipfile.ZipFile(tmp_path / "shard.zip", "w") as shard:
        shard.writestr("sample0.input.png", png((3, 90, 0)))
        shard.writestr("sample0.outputs.txt", "a cat")
        shard.writestr("sample1.outputs.txt", "of nothing")
    (tmp_path / "own.png").write_bytes(png((4, 90, 0)))
    (tmp_path / "paths.txt").write_text("own.png\n")
    with pikepdf.open(BytesIO(pdf(filled("1 0 0", 0, 0, 99, 99), filled("0 0 1", 0, 0, 99, 99)))) as plain:
        plain.save(tmp_path / "secret.pdf", encryption=pikepdf.Encryption(owner="the owner's", user=PASSWORD))
    return [tmp_path / name for name in ("train.parquet", "shard.zip", "paths.txt", "secret.pdf")]


@pytest.fixture
def own(stack: Stack) -> Iterator[str]:
    yield from fresh_collection(stack)


def test_tables_shards_lists_and_encrypted_files_come_in_once_and_the_password_is_nowhere(
    run: Run, stack: Stack, own: str, wild: list[Path], tmp_path: Path
) -> None:
    words = ("clip-ingest", *wild, "--collection", own, "--json", "--report", tmp_path / "report.jsonl")
    env = {"CLIP_PDF_PASSWORD": f"wrong\n{PASSWORD}"}
    first = run(*words, env=env, expect=3)
    assert counted(first) == {"seen": 7, "added": 6, "updated": 0, "unchanged": 0, "failed": 1}
    assert first.rows[0]["dropped"] == 1
    objects = {
        path: (row["properties"]["label"], row["properties"]["caption"]) for path, row in stored(stack, own).items()
    }
    assert objects == {
        "train.parquet::cat.png": ("cat", ""),
        "train.parquet#row=2": ("wolf", ""),
        "shard.zip::sample0.input.png": ("shard", "a cat"),
        "own.png": (tmp_path.name, ""),
        "secret.pdf#page=1": (tmp_path.name, ""),
        "secret.pdf#page=2": (tmp_path.name, ""),
    }
    report = (tmp_path / "report.jsonl").read_text()
    assert "shard.zip::sample1.outputs.txt" in report and "no bytes in its column 'image', only a path" in report
    os.utime(wild[1], (0, 0))
    again = run(*words, env=env, expect=3)
    assert counted(again) == {"seen": 7, "added": 0, "updated": 0, "unchanged": 6, "failed": 1}
    missing = run("clip-ingest", wild[3], "--collection", own, "--json", expect=3)
    wrong = run("clip-ingest", wild[3], "--collection", own, "--pdf-password", f"not {PASSWORD}", expect=3)
    assert "needs a password" in missing.stderr and "no given password opens it" in wrong.stderr
    everything = stack.weaviate("GET", f"/v1/objects?class={own}&limit=100").text
    told = (first.stdout, first.stderr, again.stdout, again.stderr, wrong.stdout, wrong.stderr, report, everything)
    assert PASSWORD not in "".join(told)


def test_bad_files_are_named_with_a_reason_and_stop_nothing(
    run: Run, stack: Stack, collection: str, folder: Path
) -> None:
    [drawer] = folder.iterdir()
    bad = {"torn.png": truncated_png(), "void.jpg": b"", "notes.png": b"just words", "bomb.png": bomb()}
    for name, content in bad.items():
        (drawer / name).write_bytes(content)
    ran = run("clip-ingest", folder, "--collection", collection, "--json", expect=3)
    assert counted(ran) == {"seen": 9, "added": 5, "updated": 0, "unchanged": 0, "failed": 4}
    for name in bad:
        [line] = [line for line in ran.stderr.splitlines() if f"{drawer.name}/{name}" in line]
        assert len(line.partition(name)[2].split()) >= 2, f"no reason in {line!r}"
    assert not {f"{drawer.name}/{name}" for name in bad} & stored(stack, collection).keys()


def test_a_repaired_file_comes_in_and_the_rest_is_left_alone(run: Run, collection: str, folder: Path) -> None:
    [drawer] = folder.iterdir()
    (drawer / "torn.png").write_bytes(truncated_png())
    run("clip-ingest", folder, "--collection", collection, expect=3)
    (drawer / "torn.png").write_bytes(png())
    again = counted(run("clip-ingest", folder, "--collection", collection, "--json"))
    assert again == {"seen": 6, "added": 1, "updated": 0, "unchanged": 5, "failed": 0}


def test_without_json_the_totals_are_printed(run: Run, collection: str, folder: Path) -> None:
    ran = run("clip-ingest", folder, "--collection", collection)
    assert "5 added" in ran.stdout + ran.stderr


def test_a_folder_without_images_is_a_usage_error_that_names_it(run: Run, collection: str, tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("no pictures here")
    refused = run("clip-ingest", tmp_path, "--collection", collection, "--json", expect=2)
    assert refused.stdout == ""
    assert str(tmp_path) in refused.stderr


def test_a_source_that_does_not_exist_is_a_usage_error_that_names_it(run: Run, collection: str) -> None:
    refused = run("clip-ingest", "no/such/folder", "--collection", collection, expect=2)
    assert "no/such/folder" in refused.stderr
