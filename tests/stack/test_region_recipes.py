"""The documented ways to index and to search regions: each line runs as it is written, in the order of the page."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from clip_vectorizer.query.cli.search import HELP
from tests.documents import page
from tests.stack.acceptance.in_process import ran
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack

PAGE = page("docs/grounding.md")
INGEST = PAGE.section("Index").commands("clip-ingest")
SEARCH = PAGE.section("Search").commands("clip-search")
COMMANDS = [*INGEST, *SEARCH]
[HELPED] = [line.strip() for line in HELP.splitlines() if line.startswith("  clip-search") and "--regions" in line]
APPLE = [40, 40, 100, 100]  # x, y, width, height


@pytest.fixture(scope="module")
def collection(stack: Stack) -> Iterator[str]:
    name = f"Test{uuid4().hex[:12]}"
    yield name
    for each in (name, f"{name}Region"):
        stack.weaviate("DELETE", f"/v1/schema/{each}").raise_for_status()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples of fruit, boxes in one of them, and a COCO file of boxes in all."""
    fruit = tmp_path / "examples" / "images" / "fruit"
    fruit.mkdir(parents=True)
    files = sorted((EXAMPLES / "fruit").glob("*.png"))
    for file in files:
        (fruit / file.name).write_bytes(file.read_bytes())
    (fruit / "red-apple.json").write_text(json.dumps({"things": [APPLE]}))
    images = [{"id": number, "file_name": file.name} for number, file in enumerate(files)]
    annotations = [{"image_id": number, "bbox": APPLE} for number in range(len(files))]
    (tmp_path / "boxes.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_line_of_the_page_runs_and_every_search_finds_boxes(home: Path, stack: Stack, collection: str) -> None:
    counts = {}
    for line in INGEST:
        summary = ran(stack.env, *shlex.split(line), "--collection", collection, "--json").stdout
        counts[line] = json.loads(summary)["regions"]
    images = len(list((home / "examples/images/fruit").glob("*.png")))
    assert list(counts.values()) == [9 * images, 4 * images, images, 1, 0]
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
