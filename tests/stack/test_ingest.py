"""clip-ingest against a real Weaviate: images are stored once, never twice, and failures are reported."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.stack.conftest import Run
from tests.stack.images import bomb, png, truncated_png
from tests.stack.support import EXAMPLES, Ran, Stack

pytestmark = pytest.mark.stack

COUNTS = ("added", "updated", "unchanged", "failed")


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
    """Five drawings in two folders, new for every test: no two tests share a path."""
    root = tmp_path / "pictures"
    for drawing in ("fruit/banana", "fruit/lemon", "fruit/pear", "birds/owl", "birds/swan"):
        target = root / tmp_path.name / f"{drawing}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / f"{drawing}.png", target)
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
