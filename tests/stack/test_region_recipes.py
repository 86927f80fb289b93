"""The documented ways to index and to search regions: each line runs as it is written, in the order of the page."""

import json
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from clip_vectorizer.query.cli.search import HELP
from tests.documents import page
from tests.stack.acceptance.in_process import ran
from tests.stack.support import REPOSITORY, Stack

pytestmark = pytest.mark.stack

PAGE = page("docs/grounding.md")
START = PAGE.section("Start").commands()
[GROUNDED, FOUND] = PAGE.section("Start").blocks("text")
INGEST = PAGE.section("Index").commands("clip-ingest")
SEARCH = PAGE.section("Search").commands("clip-search")
COMMANDS = [*START, *INGEST, *SEARCH]
[HELPED] = [line.strip() for line in HELP.splitlines() if line.startswith("  clip-search") and '" --regions' in line]
APPLE = [92, 56, 72, 71]  # x, y, width, height
FIGURES = re.compile(r"\d[\d.,]*")


@pytest.fixture(scope="module")
def collection(stack: Stack) -> Iterator[str]:
    name = f"Test{uuid4().hex[:12]}"
    yield name
    for each in (name, f"{name}Region"):
        stack.weaviate("DELETE", f"/v1/schema/{each}").raise_for_status()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the example scenes, and a box in a field of one of them."""
    scenes = shutil.copytree(REPOSITORY / "examples" / "scenes", tmp_path / "examples" / "scenes")
    (scenes / "scene-01.json").write_text(json.dumps({"things": [APPLE]}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_minute_goes_as_the_page_shows(home: Path, stack: Stack, collection: str) -> None:
    """Figures apart, which another model of regions would change."""
    scenes = f"{collection}Scenes"
    printed = [ran(stack.env, *shlex.split(line.replace("Scenes", scenes))) for line in START]
    for each in (scenes, f"{scenes}Region"):
        stack.weaviate("DELETE", f"/v1/schema/{each}").raise_for_status()
    ground, *found = (f"{each.stdout}\n{each.stderr}" for each in printed)
    assert list_words(GROUNDED) <= list_words(ground)
    assert list_words(FOUND.replace("Scenes", scenes)) <= list_words("\n".join(found))
    assert (home / "boxes.png").stat().st_size > 1000


def list_words(text: str) -> Counter[str]:
    return Counter(FIGURES.sub("N", text).split())


def test_every_line_of_the_page_runs_and_every_search_finds_boxes(home: Path, stack: Stack, collection: str) -> None:
    counts = {}
    for line in INGEST:
        summary = ran(stack.env, *shlex.split(line), "--collection", collection, "--json").stdout
        counts[line] = json.loads(summary)["regions"]
    scenes = home / "examples" / "scenes"
    images, boxes = len(list(scenes.glob("*.jpg"))), json.loads((scenes / "scenes.json").read_text())["annotations"]
    assert list(counts.values()) == [10 * images, 9 * images, 4 * images, len(boxes), 1, 0]
    ran(stack.env, *shlex.split(INGEST[0]), "--collection", collection)
    for line in [*SEARCH, HELPED]:
        done = ran(stack.env, *shlex.split(line), "--collection", collection)
        assert "nothing found" not in done.stderr
        if "--json" in line:
            assert all(json.loads(hit)["regions"] for hit in done.stdout.splitlines())
        elif "--html" in line:
            assert (home / "boxes.html").read_text().count("<svg") == 10
        elif "--explain" in line:
            assert f'use("{collection}Region")' in done.stdout
        else:
            assert " at 0." in done.stdout or " at 1." in done.stdout
