"""Packages in miniature: the four art sets and the names, with shapes drawn on the spot."""

import json
from pathlib import Path
from typing import Any

from clip_vectorizer.training.drawings import HELD_OUT_SET, TRAINING_SETS

COLOURS = {"red": "红色", "green": "绿色", "blue": "蓝色", "gold": "金色"}
SHAPES = {
    "circle": ("圆", '<circle cx="16" cy="16" r="12" fill="{}"/>'),
    "square": ("方块", '<rect x="5" y="5" width="22" height="22" fill="{}"/>'),
    "triangle": ("三角", '<path d="M16 4 28 28H4Z" fill="{}"/>'),
}
FLAG_GROUP, SKIN_GROUP, OBJECT_GROUP = 9, 2, 7


def write_packages(folder: Path) -> Path:
    """Twelve concepts (a colour and a shape), and one flag and one skin tone that must be left out."""
    rows = list(concept_rows())
    for language in ("en", "zh"):
        write_json(folder / "emojibase-data" / language / "data.json", [row[language] for row in rows])
    for art in (*TRAINING_SETS, HELD_OUT_SET):
        icons = {row["icon"]: {"body": row["body"]} for row in rows}
        write_json(folder / art / "icons.json", {"icons": icons, "width": 32, "height": 32})
        write_json(folder / art / "chars.json", {row["en"]["hexcode"].lower() + "-fe0f": row["icon"] for row in rows})
    for name in (*TRAINING_SETS, HELD_OUT_SET, "emojibase-data"):
        write_json(folder / name / "package.json", {})
    return folder


def concept_rows() -> Any:
    number = 0x1F000
    for colour, colour_zh in COLOURS.items():
        for shape, (shape_zh, body) in SHAPES.items():
            number += 1
            yield row(number, f"{colour} {shape}", colour_zh + shape_zh, body.format(colour), OBJECT_GROUP)
    yield row(number + 1, "flag: nowhere", "旗", SHAPES["square"][1].format("white"), FLAG_GROUP)
    yield row(number + 2, "light skin tone", "肤色", SHAPES["circle"][1].format("tan"), SKIN_GROUP)


def row(number: int, english: str, chinese: str, body: str, group: int) -> dict[str, Any]:
    common = {"hexcode": f"{number:X}", "group": group}
    return {
        "icon": english.replace(" ", "-"),
        "body": body,
        "en": {**common, "label": english, "tags": english.split()},
        "zh": {**common, "label": chinese, "tags": [chinese[:2]]},
    }


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
