"""Scenes of known content: drawings of examples/images in the quarters of a picture."""

from pathlib import Path

from PIL import Image, ImageOps

from clip_vectorizer.vectors import Box
from tests.stack.support import EXAMPLES

SIDE = 320  # pixels of a scene
MARGIN = 8  # pixels around a drawing, in its quarter: `emoji` learned from drawings that fill their square
QUARTERS: tuple[Box, ...] = ((0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1))


def draw_scene(drawings: list[str | None]) -> Image.Image:
    """The drawings (`fruit/banana`) in the quarters, left to right, then down; None leaves a quarter empty."""
    scene = Image.new("RGB", (SIDE, SIDE), "white")
    for name, (left, top, _, _) in zip(drawings, QUARTERS, strict=False):
        if name is not None:
            drawing = fit_drawing(name, SIDE // 2 - 2 * MARGIN)
            scene.paste(drawing, (int(left * SIDE) + MARGIN, int(top * SIDE) + MARGIN), drawing)
    return scene


def fit_drawing(name: str, length: int) -> Image.Image:
    """The drawing without the empty rows and columns around it, in the middle of a square."""
    with Image.open(EXAMPLES / f"{name}.png") as file:
        drawing = file.convert("RGBA")
    return ImageOps.pad(drawing.crop(drawing.getbbox()), (length, length))


def save_scenes(folder: Path, **scenes: list[str | None]) -> Path:
    """Write each scene as a PNG file with its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, drawings in scenes.items():
        draw_scene(drawings).save(folder / f"{name}.png")
    return folder
