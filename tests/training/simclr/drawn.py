"""Pages drawn for tests: frames, shapes, and a title block at the lower right."""

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

WIDE, TALL = (420, 297), (297, 420)  # A4 in millimetres, times 1.41


def draw_page(seed: int, size: tuple[int, int] = WIDE) -> Image.Image:
    rng, page = random.Random(seed), Image.new("RGB", size, "white")
    pen, (wide, high) = ImageDraw.Draw(page), size
    pen.rectangle((8, 8, wide - 8, high - 8), outline="black", width=2)
    for _ in range(4):
        x, y, side = rng.randint(20, wide - 130), rng.randint(20, high - 130), rng.randint(30, 100)
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape((x, y, x + side, y + side), outline="black", width=2)
    pen.rectangle((wide - 128, high - 48, wide - 8, high - 8), outline="black", width=2)
    pen.text((wide - 120, high - 40), f"PART {rng.randint(1000, 9999)}", fill="black")
    return page


def save_pdf(file: Path, pages: Sequence[Image.Image]) -> Path:
    pages[0].save(file, save_all=True, append_images=pages[1:])
    return file


def save_folder(folder: Path, images: int, pdf_pages: int) -> Path:
    """Images in a folder of their own, and a PDF file beside it."""
    (folder / "scans").mkdir(parents=True)
    for seed in range(images):
        draw_page(seed).save(folder / "scans" / f"{seed:03d}.png")
    save_pdf(folder / "plans.pdf", [draw_page(1000 + seed, TALL) for seed in range(pdf_pages)])
    return folder
