"""One file read, checked and made into an object: the work that many threads do at once."""

import hashlib
import io
import stat
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from clip_vectorizer.pictures import FORMATS, upright_rgb
from ingest.items import Fate, Fingerprint, ImageFile, ImageObject, Outcome

THUMBNAIL_SIDE = 256  # pixels
THUMBNAIL_QUALITY = 85
MAX_FILE_BYTES = 70_000_000  # Weaviate's gRPC takes 104,858,000 bytes a message, and base64 adds a third
MAX_PIXELS = 100_000_000  # 100 megapixels decode to 300 MB
MAX_CAPTION_BYTES = 100_000


class UnusableFile(Exception):
    """Why a file cannot be ingested, in words that follow its name."""


def prepare(image: ImageFile, held: Fingerprint | None, model: str) -> ImageObject | Outcome:
    """The object to upload, or the outcome when there is none: unchanged, or failed with the reason. Never raises.

    `held` is what the database has under this key, None when nothing.
    """
    try:
        data = read_file(image.file)
        caption = read_caption(image.caption_file)
        fingerprint = Fingerprint(hashlib.sha256(data).hexdigest(), image.label, caption, model)
        if fingerprint == held:
            return Outcome(image.key, Fate.UNCHANGED)
        thumbnail, mime = check_picture(data)
    except UnusableFile as problem:
        return Outcome(image.key, Fate.FAILED, str(problem))
    except Exception as error:  # whatever a file can do to a decoder, it must not stop the run
        return Outcome(image.key, Fate.FAILED, f"{type(error).__name__}: {error}")
    return ImageObject(image.key, fingerprint, data, thumbnail, mime, replaces=held is not None)


def read_file(file: Path) -> bytes:
    try:
        size = size_of(file)
        if size > MAX_FILE_BYTES:
            raise UnusableFile(f"{size / 1e6:.0f} MB; Weaviate takes at most {MAX_FILE_BYTES / 1e6:.0f} MB an image")
        data = file.read_bytes()
    except OSError as error:
        raise UnusableFile(f"cannot be read ({error.strerror})") from error
    if not data:
        raise UnusableFile("empty file (0 bytes)")
    return data


def size_of(file: Path) -> int:
    """In bytes. A pipe or a device has none, and reading it might never end."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFile("not a regular file")
    return status.st_size


def read_caption(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        if size_of(file) > MAX_CAPTION_BYTES:
            raise UnusableFile(f"longer than {MAX_CAPTION_BYTES} bytes")
        return file.read_bytes().decode("utf-8-sig").strip()
    except UnusableFile as problem:
        raise UnusableFile(f"its caption {file.name} is {problem}") from problem
    except UnicodeDecodeError as error:
        raise UnusableFile(f"its caption {file.name} is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise UnusableFile(f"its caption {file.name} cannot be read ({error.strerror})") from error


def check_picture(data: bytes) -> tuple[bytes, str]:
    """A small upright JPEG on white, and the MIME type that the bytes (not the name) tell."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            mime = Image.MIME[picture.format or ""]
            refuse_bomb(picture)
            # A JPEG is decoded at the scale a thumbnail needs: all of the file is still read, and checked.
            picture.draft("RGB", (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))
            picture.load()
            return make_thumbnail(picture), mime
    except UnusableFile:
        raise
    except UnidentifiedImageError as error:
        raise UnusableFile(f"not an image that can be read (read are {', '.join(FORMATS)})") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, IndexError, struct.error, ...
        raise UnusableFile(f"broken or truncated image ({error})") from error


def refuse_bomb(picture: Image.Image) -> None:
    pixels = picture.width * picture.height
    if pixels > MAX_PIXELS:
        raise UnusableFile(
            f"{picture.width} x {picture.height} is {pixels / 1e6:.0f} megapixels; "
            f"the limit is {MAX_PIXELS / 1e6:.0f}: make it smaller"
        )


def make_thumbnail(picture: Image.Image) -> bytes:
    small = upright_rgb(picture)
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    small.info.clear()  # no EXIF, no colour profile: the pixels are upright already
    out = io.BytesIO()
    small.save(out, "JPEG", quality=THUMBNAIL_QUALITY)
    return out.getvalue()
