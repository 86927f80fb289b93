"""Photos as phones take them. What opens them is an extra: its wheels hold a library under the GPL."""

import io
from importlib import import_module, util

from PIL import Image

from ingest.items import UnusableFile

EXTENSIONS = (".heic", ".heif")
QUALITY = 95


def as_jpeg(data: bytes) -> bytes:
    """The first picture of the file, as the sidecar can read it, with its EXIF block. Raises UnusableFile."""
    if util.find_spec("pillow_heif") is None:
        raise UnusableFile("a HEIC photo; to read these, `pip install clip-vectorizer[heif]`")
    heif = import_module("pillow_heif")
    try:
        with heif.open_heif(io.BytesIO(data)).to_pillow() as picture:  # upright already: its EXIF says so too
            out = io.BytesIO()
            on_white(picture).save(out, "JPEG", quality=QUALITY, subsampling=0, exif=picture.info.get("exif") or b"")
    except Exception as error:  # of a decoder of its own
        raise UnusableFile(f"broken or truncated HEIC photo ({error})") from error
    return out.getvalue()


def on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")
