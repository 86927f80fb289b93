"""The documented ways of bringing images in: each command line runs as it is written there."""

import io
import json
import shlex
import signal
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from PIL import Image

from ingest.cli import main
from tests.documents import page
from tests.ingest.fakes import encoded, png, write
from tests.ingest.sources.pdf_files import filled, pdf
from tests.ingest.sources.web_server import Site, serving
from tests.stack.conftest import fresh_collection
from tests.stack.other_model import other_model
from tests.stack.processes import eventually
from tests.stack.support import BIN, Stack, clean_environment

pytestmark = pytest.mark.stack

SECTIONS = [page("README.md").section("Ingest"), page("docs/ingest.md")]
COMMANDS = list(dict.fromkeys(line for section in SECTIONS for line in section.commands("clip-ingest")))
ON_THEIR_OWN = ("--watch", "--reindex", "--shard")  # each has a test below
RECIPES = [line for line in COMMANDS if not any(option in line for option in ON_THEIR_OWN)]
SEEN = {  # a word of the line -> how many images there are
    "~/Pictures": 4,
    "'photos/**/*.jpg'": 2,
    "scans.pdf": 3,
    "secret.pdf": 1,
    "faxes.tif": 2,
    "archive.zip": 4,
    "'shards/*.tar'": 2,
    "products.csv": 2,
    "rows.parquet": 1,
    "train.parquet": 2,
    "urls.txt": 1,
    "catalogue.csv": 1,
    "find": 1,
    "--retry-failed": 1,
}
SHARDS = 8


@pytest.fixture(scope="module")
def own(stack: Stack) -> Iterator[str]:
    """The collection of all lines that name none; those that name one get it with this prefix."""
    for name in fresh_collection(stack):
        yield name
        classes = stack.weaviate("GET", "/v1/schema").json()["classes"]
        for other in (row["class"] for row in classes if row["class"].startswith(name) and row["class"] != name):
            stack.weaviate("DELETE", f"/v1/schema/{other}").raise_for_status()


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
    with pikepdf.open(io.BytesIO(pdf(filled("1 0 0", 10, 10, 90, 40)))) as plain:
        plain.save(root / "secret.pdf", encryption=pikepdf.Encryption(owner="geheim", user="geheim"))
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
    cells = [{"bytes": png((number, 1, 90)), "path": path} for number, path in enumerate(("cat.png", None))]
    pyarrow.parquet.write_table(pyarrow.table({"image": cells}), root / "train.parquet")
    write(root / "urls.txt", f"{web.address}/one.png\n")
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


def arguments(command: str, home: Path, own: str) -> list[str]:
    """The words after `clip-ingest`, with the folders and the collection of these tests."""
    words = shlex.split(command.replace("~/", f"{home}/"))[1:]
    if "--collection" not in words:
        return [*words, "--collection", own]
    place = words.index("--collection") + 1
    return [*words[:place], own + words[place], *words[place + 1 :]]


def test_the_pages_have_all_the_recipes() -> None:
    assert len(RECIPES) >= 25 and all(any(word in line for word in SEEN) for line in RECIPES)
    assert len(COMMANDS) - len(RECIPES) == len(ON_THEIR_OWN)


@pytest.mark.parametrize("line", RECIPES)
def test_a_recipe_brings_in_what_it_names(
    line: str, home: Path, web: Site, stack: Stack, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    before, _, command = line.rpartition(" | ")
    before = before.replace("find .", "find newest")
    paths = subprocess.run(before, shell=True, capture_output=True, check=True).stdout if before else b""
    words = arguments(command.replace("https://example.com", web.address), home, own)
    ran = CliRunner().invoke(main, words if "--json" in words else [*words, "--json"], paths, env=stack.env)
    fails = "Pictures" in line or "--retry-failed" in line  # one of them is broken
    assert ran.exit_code == (3 if fails else 0), ran.stderr
    summary = json.loads(ran.stdout)
    wanted = next(count for word, count in SEEN.items() if word in line)
    assert (summary["seen"], summary["failed"]) == (wanted, int(fails)), summary


def only_line(option: str) -> str:
    [line] = [line for line in COMMANDS if option in line]
    return line


def test_the_shards_of_a_folder_are_all_of_it(home: Path, stack: Stack, own: str) -> None:
    line = only_line("--shard")
    seen = 0
    for number in range(1, SHARDS + 1):
        words = arguments(line.replace("3/8", f"{number}/{SHARDS}"), home, own)
        ran = CliRunner().invoke(main, [*words, "--json"], env=stack.env)
        assert ran.exit_code in (0, 3), ran.stderr
        seen += json.loads(ran.stdout)["seen"]
    assert seen == SEEN["~/Pictures"]


def test_a_watching_ingest_brings_in_a_new_file(home: Path, stack: Stack, own: str) -> None:
    folder = home / "watched"
    write(folder / "first.png", png((1, 99, 1)))
    line = only_line("--watch").replace("~/Pictures", str(folder))
    words = arguments(f"{line} --collection Watched", home, own)
    query = f"{{ Get {{ {own}Watched {{ path }} }} }}"

    def stored() -> set[str]:
        answer = stack.weaviate("POST", "/v1/graphql", {"query": query}).json()
        return set() if "errors" in answer else {row["path"] for row in answer["data"]["Get"][f"{own}Watched"]}

    environment = clean_environment() | stack.env
    with subprocess.Popen([BIN / "clip-ingest", *words], env=environment, stderr=subprocess.PIPE) as watching:
        try:
            assert eventually(lambda: stored() == {"first.png"})
            write(folder / "second.png", png((2, 99, 2)))
            assert eventually(lambda: stored() == {"first.png", "second.png"})
        finally:
            watching.send_signal(signal.SIGINT)
            _, messages = watching.communicate(timeout=30)
    assert b"Traceback" not in messages
    assert watching.returncode == 130


def test_a_collection_moves_to_another_model(home: Path, stack: Stack, own: str) -> None:
    words = arguments(f"{only_line('--reindex')} --collection Moved", home, own)
    first = CliRunner().invoke(main, [words[0], "--collection", f"{own}Moved", "--json"], env=stack.env)
    assert json.loads(first.stdout)["added"] == 3
    with other_model(stack.vectorizer_url) as url:
        given = [word.replace("http://localhost:9191", url) for word in words]
        moved = CliRunner().invoke(main, [*given, "--json"], env=stack.env)
        assert json.loads(moved.stdout)["updated"] == 3, moved.stderr
        again = CliRunner().invoke(main, [words[0], "--collection", f"{own}Moved"], env=stack.env)
        assert again.exit_code == 5  # Weaviate's own sidecar has the first model
