"""The README's ways of bringing images in, run as they are written there."""

import io
import json
import shlex
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from PIL import Image

from ingest.cli import main
from tests.ingest.fakes import encoded, png, write
from tests.ingest.sources.pdf_files import filled, pdf
from tests.ingest.sources.web_server import Site, serving
from tests.stack.conftest import fresh_collection
from tests.stack.support import REPOSITORY, Stack

pytestmark = pytest.mark.stack

SECTION = (REPOSITORY / "README.md").read_text().partition("## Bringing images in")[2].partition("\n## ")[0]
LINES = [line.partition("  #")[0].strip() for line in SECTION.splitlines() if line.startswith("    ")]
RECIPES = [line for line in LINES if "--reindex" not in line]  # that one needs a second model: see test_reindex.py
SEEN = {  # by what the line says: how many images it is about
    "~/Pictures": 4,
    "'photos/**/*.jpg'": 2,
    "scans.pdf": 3,
    "faxes.tif": 2,
    "archive.zip": 4,
    "'shards/*.tar'": 2,
    "products.csv": 2,
    "rows.parquet": 1,
    "catalogue.csv": 1,
    "find": 1,
    "--retry-failed": 1,
}


@pytest.fixture(scope="module")
def own(stack: Stack) -> Iterator[str]:
    yield from fresh_collection(stack)


@pytest.fixture(scope="module")
def web() -> Iterator[Site]:
    with serving() as site:
        site.add("/one.png", png((1, 2, 3)))
        site.add("/catalogue.csv", f"url\n{site.address}/one.png\n".encode())
        yield site


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, web: Site) -> Path:
    root = tmp_path_factory.mktemp("recipes")
    for number in range(3):
        write(root / "Pictures" / f"{number}.png", png((number, 0, 90)))
    write(root / "Pictures" / "broken.jpg", "no picture")
    for name in ("photos/x.jpg", "photos/deep/y.jpg", "photos/drafts/z.jpg"):
        write(root / name, encoded(Image.new("RGB", (9, 9), (len(name), 40, 40)), "JPEG"))
    write(root / "scans.pdf", pdf(*(filled(f"{grey} {grey} 1", 10, 10, 90, 40) for grey in (0, 0.4, 0.8))))
    frames = [Image.new("RGB", (8, 8), (grey, grey, 0)) for grey in (10, 200)]
    frames[0].save(root / "faxes.tif", save_all=True, append_images=frames[1:])
    with zipfile.ZipFile(root / "archive.zip", "w") as archive:
        for number in range(2):
            archive.writestr(f"holiday/{number}.png", png((0, 90, number)))
    tar(root / "backup.tar.gz", {"a.png": png((90, 1, 1)), "b.png": png((90, 2, 2))})
    shard = {"0001.jpg": (root / "photos/x.jpg").read_bytes(), "0001.txt": b"a line", "0002.png": png((7, 7, 7))}
    tar(root / "shards" / "000.tar", shard)
    rows = "file,price,brand,category\nPictures/0.png,9.5,Acme,shoes\nPictures/1.png,3,Acme,hats\n"
    write(root / "products.csv", rows)
    pyarrow.parquet.write_table(pyarrow.table({"url": [f"{web.address}/one.png"]}), root / "rows.parquet")
    write(root / "last", "")
    write(root / "newest" / "new.png", png((3, 3, 3)))
    return root


def tar(file: Path, members: dict[str, bytes]) -> None:
    file.parent.mkdir(exist_ok=True)
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def test_all_the_recipes_are_here() -> None:
    assert len(RECIPES) >= 13 and all(any(word in line for word in SEEN) for line in RECIPES)


@pytest.mark.parametrize("line", RECIPES)
def test_a_recipe_does_what_it_says(
    line: str, home: Path, web: Site, stack: Stack, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    before, _, command = line.rpartition(" | ")
    for old, new in (("~/", f"{home}/"), ("https://example.com", web.address), ("find .", "find newest")):
        before, command = before.replace(old, new), command.replace(old, new)
    paths = subprocess.run(before, shell=True, capture_output=True, check=True).stdout if before else b""
    words = [*shlex.split(command)[1:], "--collection", own]
    ran = CliRunner().invoke(main, words if "--json" in words else [*words, "--json"], paths, env=stack.env)
    fails = "Pictures" in line or "--retry-failed" in line  # one of them is broken
    assert ran.exit_code == (3 if fails else 0), ran.stderr
    summary = json.loads(ran.stdout)
    wanted = next(count for word, count in SEEN.items() if word in line)
    assert (summary["seen"], summary["failed"]) == (wanted, int(fails)), summary
