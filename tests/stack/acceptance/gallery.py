"""A small collection with known labels, captions, prices, brands, dates and equal images."""

import json
import shutil
from pathlib import Path

from tests.stack.support import EXAMPLES

WORD = "zyzzogeton"  # in one caption, and nowhere in any model
# drawing: price, brand, day of 2024 (a month each)
GALLERY: dict[str, tuple[float, str, str]] = {
    "fruit/banana": (1.5, "Ajax", "2024-01-05T00:00:00Z"),
    "fruit/lemon": (2.0, "Ajax", "2024-02-05T00:00:00Z"),
    "fruit/strawberry": (3.5, "Bolt", "2024-03-05T00:00:00Z"),
    "fruit/red-apple": (4.0, "Bolt", "2024-04-05T00:00:00Z"),
    "fruit/green-apple": (4.5, "Ajax", "2024-05-05T00:00:00Z"),
    "animals/panda": (50.0, "Cato", "2024-06-05T00:00:00Z"),
    "animals/cat": (60.0, "Cato", "2024-07-05T00:00:00Z"),
    "animals/horse": (700.0, "Ajax", "2024-08-05T00:00:00Z"),
    "musical instruments/guitar": (80.0, "Bolt", "2024-09-05T00:00:00Z"),
    "musical instruments/violin": (90.0, "Bolt", "2024-10-05T00:00:00Z"),
    "hearts/blue-heart": (0.5, "Cato", "2024-11-05T00:00:00Z"),
    "hearts/red-heart": (0.5, "Cato", "2024-12-05T00:00:00Z"),
}
COPY = "hearts/zz-copy-of-banana.png"  # the banana's bytes, with a label and no other property
PATHS = frozenset(f"{drawing}.png" for drawing in GALLERY) | {COPY}
COLUMNS = ("--property", "price:number", "--property", "brand", "--property", "made:date")


def write_gallery(root: Path) -> Path:
    for drawing, (price, brand, made) in GALLERY.items():
        file = root / f"{drawing}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / f"{drawing}.png", file)
        file.with_suffix(".json").write_text(json.dumps({"price": price, "brand": brand, "made": made}))
    (root / "animals" / "horse.txt").write_text(f"a {WORD} at rest")
    shutil.copy(EXAMPLES / "fruit" / "banana.png", root / COPY)
    return root
