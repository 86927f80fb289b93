"""Draws the pictures of the documents: the page of clip-gallery, its map, and its time line, on the example images.

    eval "$(clip-demo up --gallery)" && clip-ingest examples/images && python examples/gallery_pictures.py

Needs Chromium and Playwright (`make setup`) and, for the map by UMAP, the extra `[map]`, which the gallery at
CLIP_GALLERY_URL has too. The time line needs photos with times: the examples as JPEG files, in a collection of its own.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser

from benchmarks.chromium import open_chromium

FOLDER = Path(__file__).parent
SEARCH = "?q=a+red+apple"
MAP = "map?layout=umap"
TIMELINE = "timeline"
ALBUM = "Album"
WINDOW = {"width": 1200, "height": 720}
PATIENCE_MILLISECONDS = 300_000  # UMAP compiles
COLOURS = 256  # of a PNG file: a third of the bytes, and no difference to see
EXIF, TIME = 0x8769, 0x9003


def main() -> None:
    url = os.environ.get("CLIP_GALLERY_URL")
    if not url:
        sys.exit("error: CLIP_GALLERY_URL is missing; see the first lines of this file")
    with open_chromium() as browser:
        for scheme in ("light", "dark"):
            draw(browser, url + SEARCH, f"gallery-{scheme}.png", ".card", scheme)
        draw(browser, url + MAP, "gallery-map.png", "#cells")
        with TemporaryDirectory() as folder:
            write_album(Path(folder))
            subprocess.run(["clip-ingest", folder, "--exif", "--collection", ALBUM], check=True)
        with serving(ALBUM) as album:
            draw(browser, album + TIMELINE, "gallery-timeline.png", "#bars")


def draw(browser: Browser, url: str, name: str, selector: str, scheme: str = "light") -> None:
    """`selector`: what must be there first."""
    page = browser.new_context(viewport=WINDOW, color_scheme=scheme).new_page()  # type: ignore[arg-type]
    page.goto(url)
    page.wait_for_selector(selector, timeout=PATIENCE_MILLISECONDS)
    page.wait_for_load_state("networkidle")
    with Image.open(BytesIO(page.screenshot())) as shot:
        take_colours(shot.convert("RGB")).save(FOLDER / name, optimize=True)
    page.context.close()


def take_colours(picture: Image.Image) -> Image.Image:
    """Return the picture in COLOURS colours: half are its most frequent ones, as they are, half are spread over all."""
    found = picture.getcolors(maxcolors=picture.width * picture.height) or []
    frequent = [channel for _, colour in sorted(found, reverse=True)[: COLOURS // 2] for channel in colour]  # type: ignore[union-attr]
    spread = picture.quantize(COLOURS // 2, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*frequent, *spread])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def write_album(folder: Path) -> None:
    """Write the examples as photos of twelve years, more of them each year."""
    dice = random.Random(0)
    for file in sorted((FOLDER / "images").rglob("*.png")):
        with Image.open(file) as opened:
            picture = Image.new("RGB", opened.size, "white")
            drawing = opened.convert("RGBA")
            picture.paste(drawing, mask=drawing)
        exif = Image.Exif()
        year = 2015 + int(12 * dice.random() ** 0.7)
        exif.get_ifd(EXIF)[TIME] = f"{year}:{dice.randint(1, 12):02}:{dice.randint(1, 28):02} 12:00:00"
        target = folder / file.parent.name / f"{file.stem}.jpg"
        target.parent.mkdir(exist_ok=True)
        picture.save(target, exif=exif)


@contextmanager
def serving(collection: str) -> Iterator[str]:
    """The address of a gallery on a collection."""
    command = ["clip-gallery", "--collection", collection, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
