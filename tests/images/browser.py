"""Chromium's pixels of image files: each is drawn on white and read back as upright sRGB."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from playwright.sync_api import Page

from benchmarks.chromium import open_chromium
from tests.images.case import Rgb

MIME = {
    "jpg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp", "bmp": "image/bmp",
    "avif": "image/avif", "svg": "application/octet-stream",
}  # fmt: skip
COLOURS = "--force-color-profile=srgb"
BATCH = 24  # files a message: their decoding overlaps
DRAW = """
async (files) => Promise.all(files.map(async ([mime, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const image = new Image();
  const address = URL.createObjectURL(new Blob([bytes], {type: mime}));
  const shown = await new Promise((resolve) => {
    image.onload = () => resolve(true);
    image.onerror = () => resolve(false);
    image.src = address;
  });
  URL.revokeObjectURL(address);
  if (!shown || !image.naturalWidth) return null;
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = "";
  for (let i = 0; i < pixels.length; i += 8192) text += String.fromCharCode(...pixels.subarray(i, i + 8192));
  return [canvas.width, canvas.height, btoa(text)];
}))
"""


@contextmanager
def open_page() -> Iterator[Page]:
    """A page of Debian's Chromium. Raises RuntimeError where it is not installed."""
    with open_chromium(COLOURS) as browser:
        yield browser.new_page()


def browser_pixels(page: Page, files: Sequence[tuple[str, bytes]]) -> list[Rgb | None]:
    """The files, by extension and bytes, as Chromium shows them on white; None for one that it does not open."""
    sent = [[MIME.get(suffix, "application/octet-stream"), base64.b64encode(data).decode()] for suffix, data in files]
    return [read_answer(answer) for answer in page.evaluate(DRAW, sent)]


def read_answer(answer: tuple[int, int, str] | None) -> Rgb | None:
    if answer is None:
        return None
    width, height, text = answer
    rgba = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
    return np.ascontiguousarray(rgba[..., :3])


def all_browser_pixels(files: Mapping[str, bytes]) -> dict[str, Rgb | None]:
    """Chromium's pixels by file name, from one start of the browser."""
    named = [(name.rpartition(".")[2], data) for name, data in files.items()]
    with open_page() as page:
        shown = [
            pixels
            for start in range(0, len(named), BATCH)
            for pixels in browser_pixels(page, named[start : start + BATCH])
        ]
    return dict(zip(files, shown, strict=True))
