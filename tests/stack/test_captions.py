"""Captions of stored images: found by searches, written by a sidecar's captioner, continued after a kill."""

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner
from PIL import Image

from clip_vectorizer.exit_codes import SOME_FAILED
from clip_vectorizer.models.catalog import ModelName, load_encoder  # noqa: TID251 - a sidecar in this process
from clip_vectorizer.models.devices import Placement  # noqa: TID251
from clip_vectorizer.query.cli.caption import HELP
from clip_vectorizer.query.cli.caption import main as clip_caption
from tests.documents import page
from tests.server.captioners import MiddleCaptioner
from tests.server.clients import serving
from tests.stack.conftest import Run
from tests.stack.scenes import save_scenes
from tests.stack.support import EXAMPLES, Stack, clean_environment, run_inside

pytestmark = pytest.mark.stack

SECTION = page("docs/grounding.md").section("Captions")
COMMANDS = SECTION.commands()
HELPED = [line.strip() for line in HELP.splitlines() if line.startswith("  clip-caption")]
THINGS = "panda,castle,tractor,soccer ball,hammer,lemon,owl,banana"


class SlowCaptioner(MiddleCaptioner):
    def caption(self, images: Sequence[Image.Image]) -> list[str]:
        time.sleep(0.05)
        return [f"a crimson thing of {image.width} pixels" for image in images]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings without captions but for two."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("fruit", "birds", "tools"):
        for file in sorted((EXAMPLES / name).glob("*.png"))[:8]:
            target = folder / name / file.name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.read_bytes())
    for name in ("fruit/banana", "tools/axe"):
        (folder / f"{name}.txt").write_text(f"the drawing {name}")
        (folder / f"{name}.png").write_bytes((EXAMPLES / f"{name}.png").read_bytes())
    return folder


@pytest.fixture(scope="module")
def images(run: Run, collection: str, pictures: Path) -> str:
    run("clip-ingest", pictures, "--collection", collection, "--keep", "full", "--regions", "grid=2x1")
    return collection


@pytest.fixture(scope="module")
def captioning(stack: Stack) -> Iterator[dict[str, str]]:
    """The environment of a sidecar with the same model and a captioner."""
    encoder = load_encoder(ModelName("emoji"), Placement())
    with serving(encoder, SlowCaptioner()) as sidecar:
        yield {**stack.env, "VECTORIZER_URL": sidecar.url}


def count_images(stack: Stack, name: str) -> int:
    [row] = stack.weaviate(
        "POST", "/v1/graphql", {"query": f"{{ Aggregate {{ {name} {{ meta {{ count }} }} }} }}"}
    ).json()["data"]["Aggregate"][name]
    return int(row["meta"]["count"])


def test_words_of_labels_are_found_and_given_captions_stay(stack: Stack, images: str, run: Run) -> None:
    rows = run_inside(
        clip_caption, stack.env, "--by", "labels", "--labels", THINGS, "--collection", images, "--json"
    ).rows
    assert len(rows) == count_images(stack, images) - 2 and {row["caption_by"] for row in rows} == {
        rows[0]["caption_by"]
    }
    found = run("clip-search", "owl", "--captions", "1", "--collection", images, "--limit", "50", "--json").rows
    expected = {row["path"] for row in rows if row["caption"] == "owl"}
    assert {row["path"] for row in found if row["score"] > 0} == expected != set()
    again = run_inside(clip_caption, stack.env, "--by", "labels", "--labels", THINGS, "--collection", images)
    assert again.stdout == "" and f"2 images have their own; {len(rows)} were captioned before" in again.stderr


def test_a_neighbour_lends_its_caption(stack: Stack, images: str) -> None:
    rows = run_inside(
        clip_caption, stack.env, "--by", "neighbours", "--collection", images, "--json", "--limit", "4"
    ).rows
    assert len(rows) == 4
    assert {row["caption"] for row in rows} <= {"the drawing fruit/banana", "the drawing tools/axe"}


def test_regions_become_a_phrase(stack: Stack, run: Run, tmp_path: Path) -> None:
    folder = save_scenes(
        tmp_path / "scenes", one=["animals/panda", "buildings/castle", "animals/panda", "vehicles/tractor"]
    )
    name = f"Test{uuid4().hex[:12]}"
    try:
        run("clip-ingest", folder, "--collection", name, "--regions", "grid=2x2")
        [row] = run_inside(
            clip_caption, stack.env, "--by", "regions", "--labels", THINGS, "--collection", name, "--json"
        ).rows
        assert set(row["caption"].replace(" and ", ", ").split(", ")) == {"two pandas", "a castle", "a tractor"}
    finally:
        for each in (name, f"{name}Region"):
            stack.weaviate("DELETE", f"/v1/schema/{each}")


def test_a_collection_without_regions_is_refused(stack: Stack, examples: str) -> None:
    words = ("--by", "regions", "--labels", "a,b", "--collection", examples)
    assert "make them with clip-ingest SOURCE --regions" in run_inside(clip_caption, stack.env, *words, expect=2).stderr


def test_without_a_captioner_the_option_is_named(stack: Stack, images: str) -> None:
    refused = run_inside(clip_caption, stack.env, "--by", "model", "--collection", images, expect=1)
    assert "serve --captioner transformers:PATH" in refused.stderr and refused.stdout == ""


def test_a_killed_run_is_continued_and_its_words_are_found(
    stack: Stack, images: str, captioning: dict[str, str], run: Run
) -> None:
    start = "from clip_vectorizer import entry_points; entry_points.caption()"
    command = [sys.executable, "-c", start, "--by", "model", "--collection", images, "--json", "--batch", "1"]
    with subprocess.Popen(
        command, env=clean_environment() | captioning, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        first = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.kill()
    rest = run_inside(clip_caption, captioning, "--by", "model", "--collection", images, "--json").rows
    total = count_images(stack, images) - 2
    ids = {row["id"] for row in rest}
    assert 0 < len(ids) <= total - len(first) and not ids & {row["id"] for row in first}
    found = run("clip-search", "crimson", "--captions", "1", "--collection", images, "--limit", "50", "--json").rows
    assert sum(row["score"] > 0 for row in found) == total
    both = run(
        "clip-search", "a lemon that is crimson", "--captions", "0.5", "--collection", images, "--limit", "3", "--json"
    )
    assert all(row["score"] > 0 for row in both.rows)
    exact = "caption_by=model middle@1111111111111111"
    assert (
        len(run("clip-search", "x", "--where", exact, "--collection", images, "--limit", "50", "--json").rows) == total
    )


def test_every_command_of_the_page_and_of_help_runs(
    stack: Stack, images: str, captioning: dict[str, str], run: Run
) -> None:
    own = f"things{images}"
    run_inside(
        clip_caption, stack.env, "--by", "labels", "--labels", THINGS, "--label-set", own, "--collection", images
    )
    for line in dict.fromkeys([*COMMANDS, *HELPED]):
        program, *words = shlex.split(line)
        words = [own if word == "things" else word for word in words]
        if program == "clip-search":
            assert run(program, *words, "--collection", images).stdout
        else:
            ran = CliRunner().invoke(clip_caption, [*words, "--collection", images], env=captioning)
            assert ran.exit_code in (0, SOME_FAILED), ran.output
            assert re.search(r"\d captions? written", ran.stderr)
