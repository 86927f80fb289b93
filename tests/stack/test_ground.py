"""Grounding with a real sidecar and a real Weaviate: scenes of known content, as files and as stored images."""

import asyncio
import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.boxes import BoxArray, overlaps
from clip_vectorizer.database.regions import name_region_collection
from clip_vectorizer.errors import InputError
from clip_vectorizer.query import AsyncImageSearch, ImageSearch
from clip_vectorizer.query.cli.ground import HELP
from clip_vectorizer.query.cli.ground import main as ground
from clip_vectorizer.query.grounding.groundings import PictureGroundings
from tests.documents import page
from tests.stack.conftest import Run
from tests.stack.scenes import QUARTERS, SIDE, draw_scene, save_scenes
from tests.stack.support import NOWHERE, REPOSITORY, Ran, Stack, run_inside
from tests.stack.test_readme import connect_to

pytestmark = pytest.mark.stack

# Drawings that `emoji` recognizes: how many it does recognize is measured elsewhere.
THINGS: list[str | None] = ["buildings/castle", "vehicles/tractor", "animals/panda", "sports/soccer-ball"]
PANDAS: list[str | None] = ["animals/panda", None, "animals/panda", "vehicles/tractor"]
PHRASES = ["panda", "castle", "tractor"]
SENTENCE = "a panda below a castle, next to a tractor"
COMMANDS = page("docs/grounding.md").section("Ground").commands()
[PYTHON] = page("docs/grounding.md").section("Ground").blocks("python")
HELPED = [line.strip() for line in HELP.splitlines() if line.startswith("  clip-ground")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_scenes(tmp_path_factory.mktemp("scenes"), scene=THINGS, pandas=PANDAS, plain=["tools/hammer"])
    shutil.copy(folder / "scene.png", folder / "copy.png")
    save_scenes(folder / "fruit", lemon=["fruit/lemon"])
    return folder


@pytest.fixture(scope="module")
def scenes(run: Run, collection: str, folder: Path) -> str:
    """The collection that holds the scenes, with a region for each quarter."""
    run("clip-ingest", folder, "--collection", collection, "--regions", "grid=2x2")
    return collection


@pytest.fixture(scope="module")
def stored(stack: Stack, scenes: str) -> Iterator[ImageSearch]:
    with ImageSearch.connect(
        stack.weaviate_url,
        grpc_port=stack.grpc_port,
        api_key=stack.api_key,
        vectorizer_url=stack.vectorizer_url,
        collection=scenes,
    ) as search:
        yield search


def list_quarters(found: PictureGroundings, phrase: str) -> set[int]:
    """Which quarters have a box of the phrase."""
    return {QUARTERS.index(tuple(round(share, 3) for share in box.box)) for box in found[phrase].boxes}


def best_quarter(found: PictureGroundings, phrase: str) -> int:
    """The quarter that holds the centre of the best box."""
    left, top, right, bottom = found[phrase].boxes[0].box
    return int((left + right) / 2 >= 0.5) + 2 * int((top + bottom) / 2 >= 0.5)


def test_a_file_is_grounded_by_the_sidecar_without_a_database(stack: Stack, folder: Path) -> None:
    env = {**stack.env, "WEAVIATE_URL": NOWHERE}
    rows = run_inside(ground, env, folder / "scene.png", SENTENCE, "--json", "--threshold", "0.05").rows
    assert [row["phrase"] for row in rows] == PHRASES
    boxes = [row["boxes"][0]["pixels"] for row in rows]
    quarters = [int(box[0] + box[2] >= SIDE) + 2 * int(box[1] + box[3] >= SIDE) for box in boxes]
    assert quarters == [2, 0, 1]
    assert [SENTENCE[row["start"] : row["end"]] for row in rows] == PHRASES


def test_a_stored_image_is_grounded_by_its_regions(stored: ImageSearch) -> None:
    found = stored.ground("scene.png", SENTENCE, top=1, threshold=0.2)
    assert found.stored and found.path == "scene.png" and found.size is None
    assert [best_quarter(found, phrase) for phrase in PHRASES] == [2, 0, 1]


def test_a_stored_watermelon_is_no_red_apple(run: Run, stored: ImageSearch, scenes: str, tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "examples" / "scenes" / "scene-01.jpg", tmp_path)
    run("clip-ingest", tmp_path, "--collection", scenes, "--regions", "objects")
    found = stored.ground("scene-01.jpg", "a red apple, a watermelon and a panda", threshold=0.5, stored=True)
    [apple], watermelons = found["red apple"].boxes, found["watermelon"].boxes
    true_nd = read_boxes("scene-01.jpg", ["red apple", "watermelon"])
    shared = overlaps(np.array([apple.box, watermelons[0].box], np.float32), true_nd)
    assert (np.diag(shared) >= 0.5).all() and not found["panda"].present


def read_boxes(name: str, things: list[str]) -> BoxArray:
    """The true boxes of things in a scene of examples/scenes."""
    coco = json.loads((REPOSITORY / "examples" / "scenes" / "scenes.json").read_text())
    [image] = [each for each in coco["images"] if each["file_name"] == name]
    names = {each["id"]: each["name"] for each in coco["categories"]}
    boxes = {
        names[each["category_id"]]: each["bbox"] for each in coco["annotations"] if each["image_id"] == image["id"]
    }
    corners = [[x, y, x + width, y + height] for x, y, width, height in map(boxes.__getitem__, things)]
    return np.array(corners, np.float32) / np.array([image["width"], image["height"]] * 2, np.float32)


def test_boxes_count_what_is_there(stored: ImageSearch) -> None:
    found = stored.ground("pandas.png", "pandas", threshold=0.4)
    assert list_quarters(found, "pandas") == {0, 2} and len(found["pandas"].boxes) == 2


def test_a_stored_image_is_named_by_a_hit_and_by_its_id_too(stored: ImageSearch) -> None:
    [hit] = stored.by_image(draw_scene(PANDAS), 1)
    expected = stored.ground("pandas.png", SENTENCE)
    assert stored.ground(hit, SENTENCE) == stored.ground(hit.id, SENTENCE) == expected


def test_a_chinese_sentence_finds_the_same_places(stored: ImageSearch) -> None:
    found = stored.ground("scene.png", "熊猫上面有一座欧洲城堡, 旁边有拖拉机吗", top=1, threshold=0.2)
    assert [best_quarter(found, phrase) for phrase in ("熊猫", "欧洲城堡", "拖拉机")] == [2, 0, 1]


def test_a_name_of_both_is_the_file_unless_stored(
    stored: ImageSearch, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert not stored.ground("scene.png", "a panda").stored
    assert stored.ground("scene.png", "a panda", stored=True).stored


def test_the_async_search_returns_the_same(stack: Stack, stored: ImageSearch, scenes: str) -> None:
    async def search() -> PictureGroundings:
        async with await AsyncImageSearch.connect(
            stack.weaviate_url,
            grpc_port=stack.grpc_port,
            api_key=stack.api_key,
            vectorizer_url=stack.vectorizer_url,
            collection=scenes,
        ) as connected:
            return await connected.ground("scene.png", SENTENCE)

    assert asyncio.run(search()) == stored.ground("scene.png", SENTENCE)


def test_a_copy_has_the_regions_of_its_original(stored: ImageSearch) -> None:
    found, original = (stored.ground(name, SENTENCE, stored=True) for name in ("copy.png", "scene.png"))
    assert [each.boxes for each in found] == [each.boxes for each in original]


def test_a_name_that_is_nowhere_is_refused_with_a_near_one(stored: ImageSearch) -> None:
    with pytest.raises(InputError, match=r"no file and no image of .* called scenes\.png; did you mean scene\.png"):
        stored.ground("scenes.png", "a panda")


def test_images_without_regions_name_how_to_make_them(search: ImageSearch) -> None:
    with pytest.raises(InputError, match=r"birds/owl\.png: no regions are stored; make them with `clip-ingest SOURCE"):
        search.ground("birds/owl.png", "a panda", stored=True)


def test_one_image_without_regions_names_how_to_make_them(stack: Stack, stored: ImageSearch, scenes: str) -> None:
    where = {"path": ["path"], "operator": "Equal", "valueText": "plain.png"}
    match = {"class": name_region_collection(scenes), "where": where}
    stack.weaviate("DELETE", "/v1/batch/objects", {"match": match}).raise_for_status()
    with pytest.raises(InputError, match=r"plain\.png: no regions are stored; make them with `clip-ingest SOURCE"):
        stored.ground("plain.png", "a hammer", stored=True)


def test_a_table_names_what_is_not_in_the_picture(stack: Stack, scenes: str) -> None:
    ran = run_inside(
        ground, stack.env, "scene.png", "--phrases", "panda,typewriter", "--collection", scenes, "--threshold", "0.9"
    )
    head, *rows = ran.stdout.splitlines()
    assert head.split() == ["phrase", "box", "(x0", "y0", "x1", "y1,", "0..1)", "probability"]
    assert any(row.startswith("typewriter  not in the picture") for row in rows)
    assert max(map(len, ran.stdout.splitlines())) <= 80


@pytest.mark.parametrize("image", ["scene.png", "file"])
def test_files_are_written_for_stored_images_and_for_files(
    stack: Stack, scenes: str, folder: Path, tmp_path: Path, image: str
) -> None:
    where = [folder / "scene.png"] if image == "file" else [image, "--collection", scenes]
    names = {name: tmp_path / f"found.{name}" for name in ("png", "html", "coco")}
    options = [word for name, file in names.items() for word in (f"--{name}", file)]
    ran = run_inside(ground, stack.env, *where, SENTENCE, "--threshold", "0.2", *options)
    assert ran.stderr.count("wrote ") == 3
    with Image.open(names["png"]) as drawn:
        assert drawn.format == "PNG" and drawn.width == drawn.height >= 640
    _, *lines = ran.stdout.splitlines()
    boxes = [line for line in lines if "not in the picture" not in line]
    assert names["html"].read_text().count('<rect class="box ') == len(boxes) > 0
    coco = json.loads(names["coco"].read_text())
    assert [each["name"] for each in coco["categories"]] == PHRASES
    assert all(each["bbox"][2] <= coco["images"][0]["width"] for each in coco["annotations"])


@pytest.mark.parametrize(
    ("words", "exit_code", "reason"),
    [
        (["scene.png", "running fast"], 2, "no noun phrase in 'running fast'"),
        (["scene.png"], 2, "no SENTENCE; add one"),
        (["scene.png", "--phrases", ",".join(["cat"] * 10_000)], 2, "10,000 phrases, of 200 at most"),
        (["text.png", "a cat"], 2, "text.png: a text file, not an image"),
        (["nosuch.png", "a cat", "--weaviate-url", NOWHERE], 4, "no file is called nosuch.png"),
        (["scene.png", "a cat", "--png", "nosuch/found.png"], 1, "nosuch/found.png"),
        (["scene.png", "a cat", "--vectorizer-url", NOWHERE], 4, "no sidecar answers"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], exit_code: int, reason: str
) -> None:
    monkeypatch.chdir(save_scenes(tmp_path, scene=THINGS))
    Path("text.png").write_text("no picture")
    ran = run_inside(ground, stack.env, *words, expect=exit_code)
    assert reason in ran.stderr and "Traceback" not in ran.stderr


def run_line(line: str, stack: Stack, folder: Path, collection: str, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """A line as it is written, in a folder with a scene; what reads a collection, on one of this module's."""
    monkeypatch.chdir(folder)
    _, *words = shlex.split(line)
    stored = "--stored" in words or not Path(words[0]).exists()
    return run_inside(ground, stack.env, *words, *(("--collection", collection) if stored else ()))


@pytest.mark.parametrize("line", list(dict.fromkeys([*HELPED, *COMMANDS])))
def test_a_line_of_the_help_and_of_the_page_runs(
    line: str, stack: Stack, scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_scenes(tmp_path, scene=THINGS)
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    assert run_line(line, stack, tmp_path, scenes, monkeypatch).stdout


def test_the_python_of_the_page_runs(
    stack: Stack, scenes: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    exec(compile(connect_to(PYTHON, stack, scenes), "docs/grounding.md", "exec"), {})
    assert "not in the picture: [" in capsys.readouterr().out
