"""Small pictures, each with a vector of its own, and files that only look like pictures."""

import os
import random
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from tests.faults.pictures import cut, jpeg_bomb, noise, png_bomb

KINDS = ("JPEG", "PNG", "WEBP", "BMP")
ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp"}
NAMES = ("plain", "with space", "Ünïcode 熊猫", "a&b=c#d%20")  # folders, hence labels and parts of keys


def drawing(seed: int, kind: str = "PNG", size: tuple[int, int] = (96, 72)) -> bytes:
    """Coloured shapes on a coloured ground: the same for the same seed, always."""
    pick = random.Random(seed)
    picture = Image.new("RGB", size, colour(pick))
    pen = ImageDraw.Draw(picture)
    for _ in range(5):
        x, y = pick.randrange(size[0]), pick.randrange(size[1])
        box = (x, y, x + pick.randrange(10, 60), y + pick.randrange(10, 60))
        pick.choice((pen.ellipse, pen.rectangle))(box, fill=colour(pick))
    out = BytesIO()
    picture.save(out, kind, quality=90)
    return out.getvalue()


def colour(pick: random.Random) -> tuple[int, int, int]:
    return pick.randrange(256), pick.randrange(256), pick.randrange(256)


def album(count: int, seed: int = 0) -> dict[str, bytes]:
    """`count` pictures of all kinds by key, in folders of all names."""
    files = {}
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        key = f"{NAMES[number // 4 % len(NAMES)]}/{number:04}.{ENDINGS[kind]}"
        files[key] = drawing(seed * 100_000 + number, kind)
    return files


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """The files in `folder`, as if they had been there for a while: their times can be trusted."""
    for key, content in files.items():
        file = folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        age(file)
    return folder


def age(file: Path, seconds: float = 3600) -> None:
    """Moves the time of modification back: a file of this very moment might still change within its clock tick."""
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns - int(seconds * 1e9)))


CORRUPT = {
    "torn.jpg": lambda: cut(noise(320, 240)),
    "torn.png": lambda: cut(noise(320, 240, "PNG")),
    "void.jpg": lambda: b"",
    "zeros.png": lambda: bytes(4096),
    "words.png": lambda: b"just words, no picture\n",
    "page.jpg": lambda: b"<!doctype html><title>404</title>",
    "bomb.png": png_bomb,
    "bomb.jpg": jpeg_bomb,
}
