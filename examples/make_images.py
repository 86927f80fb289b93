"""Makes `examples/images` and `examples/contact-sheet.png`: some 300 drawings of the held-out art set, with captions.

    python examples/make_images.py WORK_FOLDER

WORK_FOLDER holds (or gets) the npm packages that `clip-vectorizer train emoji` uses. The art is OpenMoji's
(CC BY-SA 4.0), which the bundled model never saw in training.
"""

import re
import sys
from pathlib import Path

from PIL import Image

from clip_vectorizer.training.art_sets import HELD_OUT_SET
from clip_vectorizer.training.drawings import (
    Concept,
    fetch_packages,
    load_concepts,
    normalise_hexcode,
    read_json,
    render_set,
)

SIZE = 96  # pixels
FOLDERS = {  # folder (the label) -> emoji subgroups
    "animals": ("animal-mammal", "animal-reptile", "animal-marine"),
    "birds": ("animal-bird",),
    "buildings": ("place-building", "place-religious"),
    "clothes": ("clothing",),
    "drinks": ("drink",),
    "faces": ("face-smiling", "face-affection", "face-tongue", "face-concerned"),
    "flowers": ("plant-flower",),
    "food": ("food-prepared", "food-sweet"),
    "fruit": ("food-fruit",),
    "hearts": ("heart",),
    "insects": ("animal-bug",),
    "musical instruments": ("musical-instrument",),
    "sports": ("sport",),
    "tools": ("tool",),
    "vegetables": ("food-vegetable",),
    "vehicles": ("transport-ground", "transport-water", "transport-air"),
    "weather": ("sky-weather",),
}
LARGEST_FOLDER = 20
SHEET_COLUMNS, SHEET_CELL = 18, 46  # pixels


def make_images(work: Path, target: Path) -> None:
    packages = fetch_packages(work / "packages")
    for folder, concepts in group_by_folder(packages).items():
        (target / folder).mkdir(parents=True, exist_ok=True)
        pictures = render_set(packages, HELD_OUT_SET, concepts, SIZE)
        for concept, picture in zip(concepts, pictures, strict=True):
            file = target / folder / f"{make_slug(concept.name_en)}.png"
            Image.fromarray(picture, "RGBA").save(file, optimize=True)
            file.with_suffix(".txt").write_text(f"{concept.name_en} · {concept.name_zh}\n", encoding="utf-8")


def make_contact_sheet(images: Path) -> Image.Image:
    """Every third drawing, for the README."""
    files = sorted(images.rglob("*.png"))[::3]
    rows = -(-len(files) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (SHEET_COLUMNS * SHEET_CELL, rows * SHEET_CELL), "white")
    for place, file in enumerate(files):
        drawing = Image.open(file).resize((SHEET_CELL - 8, SHEET_CELL - 8), Image.Resampling.LANCZOS)
        column, row = place % SHEET_COLUMNS, place // SHEET_COLUMNS
        sheet.paste(drawing, (column * SHEET_CELL + 4, row * SHEET_CELL + 4), drawing)
    return sheet


def group_by_folder(packages: Path) -> dict[str, list[Concept]]:
    """Folder -> concepts, at most LARGEST_FOLDER, spread evenly over the subgroups' order."""
    subgroups = read_subgroups(packages)
    chosen = {}
    for folder, names in FOLDERS.items():
        members = [concept for concept in load_concepts(packages) if subgroups[concept.hexcode] in names]
        stride = max(1.0, len(members) / LARGEST_FOLDER)
        chosen[folder] = [members[int(place * stride)] for place in range(min(len(members), LARGEST_FOLDER))]
    return chosen


def read_subgroups(packages: Path) -> dict[str, str]:
    """Code points -> subgroup key, as `emojibase-data` orders them."""
    english = packages / "emojibase-data" / "en"
    keys = {row["order"]: row["key"] for row in read_json(english / "messages.json")["subgroups"]}
    rows = read_json(english / "data.json")
    return {normalise_hexcode(row["hexcode"]): keys[row["subgroup"]] for row in rows if "subgroup" in row}


def make_slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


if __name__ == "__main__":
    examples = Path(__file__).parent
    make_images(Path(sys.argv[1]), examples / "images")
    make_contact_sheet(examples / "images").quantize(128).save(examples / "contact-sheet.png", optimize=True)
