"""Makes `examples/scenes`: 40 scenes composed of the drawings in `examples/images`, with their boxes and captions.

    python examples/make_scenes.py

Each scene has a caption (`scene-01.txt`); `scenes.json` has all boxes in COCO's format. The art is OpenMoji's
(CC BY-SA 4.0), which the bundled model never saw in training. The same drawings give the same scenes.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clip_vectorizer.training.grounding.captions import JOINTS, Thing, name_things
from clip_vectorizer.training.grounding.plan import BLURRED, GRADIENT, WHITE, ScenePlan
from clip_vectorizer.training.grounding.scene_art import MappedSet, SceneArt
from clip_vectorizer.training.grounding.scenes import Scene, compose_scene, list_shown

SCENES = 40
SEED = 15
QUALITY = 80  # of JPEG; the noise of the grounds makes PNG files several times as large
CAPTION_GAP = " · "  # between the English and the Chinese caption, as in `examples/images`
FOLDERS_LEFT_OUT = ("faces", "hearts", "weather")  # look too much alike, or have no outline
MOST_WORDS = 2  # of a name: "cloud with lightning and rain" is more than one phrase
# Names that "a" or a number cannot stand before, or that no phrase is in the end (clip_vectorizer.query.grounding), and
# drawings of something that happens.
NAMES_LEFT_OUT = (
    *("airplane departure", "bacon", "beans", "blueberries", "bowling", "bread", "briefs", "broccoli", "butter"),
    *("canned food", "cherries", "clinking glasses", "cooking", "crossed swords", "ewe", "flat shoe", "french fries"),
    *("garlic", "glasses", "gloves", "goggles", "grapes", "hatching chick", "ice", "ice hockey", "jeans"),
    *("lacrosse", "leafy green", "link", "lotus", "maracas", "mate", "peanuts", "ping pong", "pouring liquid", "sake"),
    *("sari", "skis", "socks", "wedding"),
)
SHAPES = ((256, 192), (224, 224), (192, 256), (320, 240))  # width and height in pixels
FIRST_SCENE = ("red apple", "watermelon", "soccer ball")  # of the demo
FIRST_PLAN = ScenePlan(
    size=SHAPES[0], counts=(3, 3), sizes=(64.0, 88.0), overlap=0.0, repeated_share=0.0, grounds={WHITE: 1.0}
)
PLAN = ScenePlan(
    counts=(2, 6),
    sizes=(20.0, 96.0),
    overlap=0.1,
    repeated_share=0.15,
    grounds={WHITE: 0.4, GRADIENT: 0.4, BLURRED: 0.2},
)
LICENCE = {"id": 1, "name": "CC BY-SA 4.0", "url": "https://creativecommons.org/licenses/by-sa/4.0/"}


@dataclass(frozen=True, slots=True)
class Drawing:
    name_en: str
    name_zh: str
    file: Path


def make_scenes(images: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    drawings = list_drawings(images)
    scenes = list(compose_scenes(drawings))
    for number, scene in enumerate(scenes, start=1):
        file = target / name_file(number)
        scene.image.save(file, quality=QUALITY, optimize=True)
        file.with_suffix(".txt").write_text(caption_scene(scene, drawings) + "\n", encoding="utf-8")
    (target / "scenes.json").write_text(format_json(build_coco(scenes, drawings)), encoding="utf-8")


def list_drawings(images: Path) -> list[Drawing]:
    """Return the drawings that a caption can name, in the order of their paths."""
    files = [file for file in sorted(images.rglob("*.png")) if file.parent.name not in FOLDERS_LEFT_OUT]
    return [drawing for drawing in map(read_drawing, files) if is_nameable(drawing.name_en)]


def read_drawing(file: Path) -> Drawing:
    english, chinese = file.with_suffix(".txt").read_text(encoding="utf-8").strip().split(CAPTION_GAP)
    return Drawing(english, chinese, file)


def is_nameable(name: str) -> bool:
    return len(name.split()) <= MOST_WORDS and name.isascii() and name not in NAMES_LEFT_OUT


def compose_scenes(drawings: Sequence[Drawing]) -> Iterator[Scene]:
    rng = random.Random(SEED)
    names = [drawing.name_en for drawing in drawings]
    yield compose_first_scene(drawings, [names.index(name) for name in FIRST_SCENE], rng)
    art = load_art(drawings)
    for number in range(1, SCENES):
        yield compose_scene(art, replace(PLAN, size=SHAPES[number % len(SHAPES)]), rng)


def compose_first_scene(drawings: Sequence[Drawing], chosen: Sequence[int], rng: random.Random) -> Scene:
    """Return a scene with each of the chosen drawings once."""
    art = load_art([drawings[index] for index in chosen])
    while True:
        scene = compose_scene(art, FIRST_PLAN, rng)
        if sorted(scene.concepts) == list(range(len(chosen))):
            return replace(scene, concepts=tuple(chosen[place] for place in scene.concepts))


def load_art(drawings: Sequence[Drawing]) -> SceneArt:
    pixels = np.stack([np.asarray(Image.open(drawing.file).convert("RGBA")) for drawing in drawings])
    rows = {index: index for index in range(len(drawings))}
    return SceneArt([MappedSet(rows, {"drawn": pixels})], len(drawings), {"drawn": 1.0}, degrees=0.0)


def caption_scene(scene: Scene, drawings: Sequence[Drawing]) -> str:
    """Return what the scene shows, in English and in Chinese."""
    counts = Counter(scene.concepts)
    shown = [(drawings[index], counts[index]) for index in list_shown(scene)]
    english = join_names([Thing(drawing.name_en, count) for drawing, count in shown], "en")
    chinese = join_names([Thing(drawing.name_zh, count) for drawing, count in shown], "zh")
    return english + CAPTION_GAP + chinese


def join_names(things: Sequence[Thing], language: str) -> str:
    *others, last = [name_things(thing, language) for thing in things]
    between, before_last = JOINTS[language]
    return (between.join(others) + before_last if others else "") + last


def build_coco(scenes: Sequence[Scene], drawings: Sequence[Drawing]) -> dict[str, Any]:
    """Return https://cocodataset.org/#format-data: `bbox` is x, y, width, height in pixels from the top left."""
    used = sorted({concept for scene in scenes for concept in scene.concepts})
    things = list(list_things(scenes))
    return {
        "info": {"description": "Scenes composed of OpenMoji drawings, by examples/make_scenes.py"},
        "licenses": [LICENCE],
        "images": [describe_image(number, scene) for number, scene in enumerate(scenes, start=1)],
        "annotations": [describe_thing(number, *thing) for number, thing in enumerate(things, start=1)],
        "categories": [
            {"id": index + 1, "name": drawings[index].name_en, "name_zh": drawings[index].name_zh} for index in used
        ],
    }


def list_things(scenes: Sequence[Scene]) -> Iterator[tuple[int, list[int], int]]:
    """Yield the number of the scene, the box and the drawing of each thing."""
    for number, scene in enumerate(scenes, start=1):
        for box, concept in zip(scene.boxes_n4, scene.concepts, strict=True):
            yield number, [int(side) for side in box], concept


def describe_image(number: int, scene: Scene) -> dict[str, Any]:
    width, height = scene.image.size
    return {
        **{"id": number, "file_name": name_file(number), "width": width, "height": height},
        **{"license": LICENCE["id"], "ground": scene.ground},
    }


def describe_thing(number: int, image: int, box: Sequence[int], concept: int) -> dict[str, Any]:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    return {
        **{"id": number, "image_id": image, "category_id": concept + 1, "bbox": [left, top, width, height]},
        **{"area": width * height, "iscrowd": 0},
    }


def name_file(number: int) -> str:
    return f"scene-{number:02}.jpg"


def format_json(values: dict[str, Any]) -> str:
    """Return JSON with one entry of a list on a line."""
    parts = []
    for name, value in values.items():
        entries = [json.dumps(entry, ensure_ascii=False) for entry in value] if isinstance(value, list) else []
        text = "[\n  " + ",\n  ".join(entries) + "\n ]" if entries else json.dumps(value, ensure_ascii=False)
        parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    examples = Path(__file__).parent
    make_scenes(examples / "images", examples / "scenes")
