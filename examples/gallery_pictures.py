"""Draws the pictures of the README: the page of clip-gallery, light and dark, on the example images.

    eval "$(clip-demo up --gallery)" && clip-ingest examples/images && python examples/gallery_pictures.py

Needs Chromium and Playwright (`make setup`). The page is the one at CLIP_GALLERY_URL.
"""

import os
import sys
from pathlib import Path

from benchmarks.chromium import open_chromium

FOLDER = Path(__file__).parent
SEARCH = "?q=a+red+apple"
WINDOW = {"width": 1200, "height": 720}


def main() -> None:
    url = os.environ.get("CLIP_GALLERY_URL")
    if not url:
        sys.exit("error: CLIP_GALLERY_URL is missing; see the first lines of this file")
    with open_chromium() as browser:
        for scheme in ("light", "dark"):
            page = browser.new_context(viewport=WINDOW, color_scheme=scheme).new_page()  # type: ignore[arg-type]
            page.goto(url + SEARCH, wait_until="networkidle")
            page.screenshot(path=FOLDER / f"gallery-{scheme}.png")


if __name__ == "__main__":
    main()
