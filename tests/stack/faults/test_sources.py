"""Every kind of source once, through the command: as many objects as it has images, with their facts."""

import csv
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.stack.faults.conftest import NewJob
from tests.stack.faults.database import assert_exact, held, vector
from tests.stack.faults.jobs import Job, buckets
from tests.stack.faults.pictures import drawing, write
from tests.stack.faults.servers import World

pytestmark = pytest.mark.stack


@dataclass
class Bag:
    """What a command is given, and what must be in the database afterwards."""

    words: list[str | Path]
    files: dict[str, bytes]  # by key; empty where the images are made of something else
    count: int = 0
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)  # by key: properties
    stdin: bytes = b""


def pictures(seed: int, names: str = "abcde") -> dict[str, bytes]:
    return {f"{name}.png": drawing(seed + number) for number, name in enumerate(names)}


def folder_with_captions(place: Path) -> Bag:
    files = {f"fruit/{key}": content for key, content in pictures(4_000).items()}
    write(place, files | {"fruit/a.txt": b"an apple\n"})
    return Bag([place], files, facts={"fruit/a.png": {"caption": "an apple", "label": "fruit"}})


def tar_archive(place: Path) -> Bag:
    archive = place / "a.tar"
    with tarfile.open(archive, "w") as tar:
        for name, content in (pictures(4_100) | {"a.txt": b"from a tar"}).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    files = {f"a.tar::{key}": content for key, content in pictures(4_100).items()}
    return Bag([archive], files, facts={"a.tar::a.png": {"caption": "from a tar"}})


def zip_archive(place: Path) -> Bag:
    archive = place / "b.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in pictures(4_200).items():
            packed.writestr(f"deep/{name}", content)
    return Bag([archive], {f"b.zip::deep/{key}": content for key, content in pictures(4_200).items()})


def table(place: Path) -> Bag:
    files = pictures(4_300)
    write(place, files)
    with (place / "table.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["path", "title", "price"])
        rows.writerows([key, f"title of {key}", number + 0.5] for number, key in enumerate(files))
    words: list[str | Path] = [place / "table.csv", "--caption-column", "title", "--property", "price:number"]
    return Bag(words, files, facts={"b.png": {"caption": "title of b.png", "price": 1.5}})


def pdf(place: Path) -> Bag:
    pages = [Image.open(io.BytesIO(drawing(4_400 + number, size=(200, 280)))).convert("RGB") for number in range(3)]
    pages[0].save(place / "drawing.pdf", save_all=True, append_images=pages[1:])
    facts = {f"drawing.pdf#page={number}": {"page": number} for number in (1, 2, 3)}
    return Bag([place / "drawing.pdf"], {}, 3, facts)


def standard_input(place: Path) -> Bag:
    files = pictures(4_500)
    write(place, files)
    return Bag(["-", "-0", "--root", place], files, stdin=b"".join(key.encode() + b"\0" for key in files))


def glob(place: Path) -> Bag:
    files = pictures(4_600)
    write(place, files | {"left_out.jpg": drawing(4_699, "JPEG")})
    return Bag([f"{place}/*.png"], files)


BAGS: dict[str, Callable[[Path], Bag]] = {
    "folder": folder_with_captions,
    "tar": tar_archive,
    "zip": zip_archive,
    "table": table,
    "pdf": pdf,
    "stdin": standard_input,
    "glob": glob,
}


def test_every_kind_of_source_comes_in_whole_and_a_second_run_adds_nothing(
    world: World, job: NewJob, tmp_path: Path
) -> None:
    bags: list[tuple[Bag, Job]] = []
    for number, make in enumerate(BAGS.values()):
        place = tmp_path / make.__name__
        place.mkdir()
        bag = make(place)
        way = ("client", "module")[number % 2]
        bags.append((bag, job(way, *bag.words, stdin=bag.stdin)))
    first = run_in_pairs([each for _, each in bags])
    for (bag, each), found in zip(bags, first, strict=True):
        wanted = bag.count or len(bag.files)
        assert found == {"added": wanted, "updated": 0, "unchanged": 0, "failed": 0}, each.words
        stored = held(world.truth, each.collection)
        if bag.files:
            assert_exact(world, each.collection, bag.files)
        assert len(stored) == wanted and all(vector(row).any() for row in stored.values())
        for key, facts in bag.facts.items():
            assert facts.items() <= stored[key]["properties"].items()
    second = run_in_pairs([each for _, each in bags])
    for (bag, each), found in zip(bags, second, strict=True):
        assert found == {"added": 0, "updated": 0, "unchanged": bag.count or len(bag.files), "failed": 0}, each.words


def run_in_pairs(jobs: list[Job]) -> list[dict[str, int]]:
    """Two at once: the test machine has two cores."""
    found: list[dict[str, int]] = []
    for start in range(0, len(jobs), 2):
        pair = [each.start() for each in jobs[start : start + 2]]
        found += [buckets(each.done()) for each in pair]
    return found
