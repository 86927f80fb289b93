"""Chromium's pixels of image files: each is drawn on white and read back as upright sRGB."""

import base64
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from playwright.sync_api import Page, sync_playwright

from tests.images.case import Rgb

MIME = {
    "jpg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp", "bmp": "image/bmp",
    "avif": "image/avif", "svg": "application/octet-stream",
}  # fmt: skip
MISSING = "Debian's chromium is missing: apt-get install chromium (`make test` does it as root)"
ARGUMENTS = ("--force-color-profile=srgb", "--no-sandbox", "--disable-gpu")
DRAW = """
async ([mime, data]) => {
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
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = "";
  for (let i = 0; i < pixels.length; i += 8192) text += String.fromCharCode(...pixels.subarray(i, i + 8192));
  return [canvas.width, canvas.height, btoa(text)];
}
"""


@contextmanager
def open_page() -> Iterator[Page]:
    """A page of Debian's Chromium. Raises RuntimeError where it is not installed."""
    path = shutil.which("chromium")
    if path is None:
        raise RuntimeError(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser.new_page()
        finally:
            browser.close()


def browser_pixels(page: Page, data: bytes, suffix: str) -> Rgb | None:
    """The file as Chromium shows it on white; None where it does not open it."""
    mime = MIME.get(suffix, "application/octet-stream")
    answer = page.evaluate(DRAW, [mime, base64.b64encode(data).decode()])
    if answer is None:
        return None
    width, height, text = answer
    rgba = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
    return np.ascontiguousarray(rgba[..., :3])


def all_browser_pixels(files: Mapping[str, bytes]) -> dict[str, Rgb | None]:
    """Chromium's pixels by file name, from one start of the browser."""
    with open_page() as page:
        return {name: browser_pixels(page, data, name.rpartition(".")[2]) for name, data in files.items()}
