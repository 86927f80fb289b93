"""What a program that opens images with plain Pillow makes of the files of a folder. Imports Pillow alone.

Run by formats.py with the Pillow of each peer first on the path: `python plain_pillow.py FOLDER rclip`. Prints JSON: by
file name either `["refused", reason]`, or `["opened", width, height, base64 of its RGB pixels]`.
"""

import base64
import io
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageFile

# rclip 3.3.0, rclip/const.py: files with other extensions are not read.
RCLIP_SUFFIXES = ("jpg", "jpeg", "png", "webp", "heic", "tiff", "tif", "bmp", "gif", "jp2", "pnm", "pbm", "pgm", "ppm")


def main(folder: Path, peer: str) -> None:
    open_image = {"rclip": open_as_rclip, "weaviate": open_as_weaviate}[peer]
    warnings.simplefilter("ignore")
    if peer == "rclip":
        ImageFile.LOAD_TRUNCATED_IMAGES = True  # as rclip/utils/helpers.py does
    results = {file.name: describe(open_image, file) for file in sorted(folder.iterdir())}
    sys.stdout.write(json.dumps(results))


def open_as_rclip(file: Path) -> Image.Image:
    """rclip/utils/helpers.py `read_image`, then rclip/utils/preprocess.py."""
    if file.suffix.lower().lstrip(".") not in RCLIP_SUFFIXES:
        raise ValueError("extension is not read")
    return Image.open(file).convert("RGB")


def open_as_weaviate(file: Path) -> Image.Image:
    """`_parse_image` of clip.py in weaviate/multi2vec-clip-inference."""
    return Image.open(io.BytesIO(file.read_bytes())).convert("RGB")


def describe(open_image: Callable[[Path], Image.Image], file: Path) -> list[object]:
    try:
        image = open_image(file)
    except Exception as error:
        return ["refused", str(error)]
    return ["opened", *image.size, base64.b64encode(image.tobytes()).decode()]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
