"""The one way from the bytes of an image file to upright sRGB pixels, for the sidecar, the ingest and the queries.

A file that Pillow reads costs nothing more here. Where Pillow refuses it, or cannot be trusted with its layout, it is
mended or given to another decoder, and if all that fails, called what it is.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn

from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images import png
from clip_vectorizer.images.avif import mend_avif
from clip_vectorizer.images.bmp import decode_bmp, trusts_pillow_bmp
from clip_vectorizer.images.colour import ColourFinding, find_colour
from clip_vectorizer.images.damage import (
    PartialImage,
    PixelBox,
    decode_rows,
    decode_webp_start,
    find_jpeg_gaps,
    has_flat_corner,
)
from clip_vectorizer.images.formats import JPEG_FRAMES, UNKNOWN, describe_content, is_avif, is_heif
from clip_vectorizer.images.gif import clear_surroundings
from clip_vectorizer.images.jpeg import JpegStructure, is_coarse, read_jpeg_structure, rewrite_jpeg
from clip_vectorizer.images.pillow import has_heif, identify_image, ignore_pillow_warnings
from clip_vectorizer.images.settings import MAX_PIXELS, USUAL_DECODING, DecodeSettings, check_size
from clip_vectorizer.images.tiff import decode_tiff_rows
from clip_vectorizer.images.tiff_directory import TIFF_PREFIXES
from clip_vectorizer.images.tiff_trust import trusts_pillow
from clip_vectorizer.images.upright import ColourFunction, convert_to_rgb, small_rgb, turn_upright, upright_rgb
from clip_vectorizer.vectors import Box

# A progressive JPEG costs a pass over all its pixels a scan; encoders make about 10. The second bounds the product.
MAX_SCANS = 500
MAX_SCANNED_PIXELS = 12 * MAX_PIXELS  # some 3 s
MAX_PNG_PIXELS = 4_000_000
JPEG_SIGNATURE = b"\xff\xd8"
ZERO_TAIL = bytes(64)  # so ends a file of which not all was written
OWN_SIGNATURES = {b"\xff\xd8\xff": "JPEG", png.SIGNATURE: "PNG", b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP"}

Attempt = Callable[[], "DecodedImage"]


@dataclass(frozen=True, slots=True)
class DecodedImage:
    pixels: Image.Image  # upright, RGB, in sRGB, alpha on white
    box: Box  # the picture's place in `pixels`: see `upright.small_rgb`
    size: tuple[int, int]  # of the upright picture in the file
    format: str  # of the file, in Pillow's words: JPEG
    damage: str = ""  # what is wrong with it: "98% of it can be decoded"
    ignored: str = ""  # why its colour profile was not used
    is_plain: bool = True  # whether Pillow reads the file as it is, so that every sidecar does
    to_srgb: ColourFunction | None = None  # of pixels that are not in sRGB yet: with `late_colour` only

    @property
    def mime(self) -> str:
        return Image.MIME.get(self.format, f"image/{self.format.lower()}")


def decode_image(
    data: bytes, settings: DecodeSettings = USUAL_DECODING, least_side: int = 0, late_colour: bool = False
) -> DecodedImage:
    """The first picture of a file, at 1/2, 1/4, ... of its size where no side gets under `least_side`. Thread-safe.

    With `late_colour` a conversion that costs the less the fewer the pixels may be left to the caller: see `to_srgb`.
    Raises ImageRefused: 413 for more pixels than the settings allow, before any is decoded; 422 for what is no image
    (called by its name), for a broken one, and for one of which too few rows are there.

    >>> file = io.BytesIO()
    >>> Image.new("L", (640, 480), 200).save(file, "JPEG")
    >>> image = decode_image(file.getvalue(), least_side=100)
    >>> image.format, image.pixels.mode, image.pixels.size
    ('JPEG', 'RGB', (160, 120))
    """
    with ignore_pillow_warnings():
        try:
            image = decode_plain(data, settings, least_side, late_colour)
        except ImageRefused:
            raise
        except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, IndexError, struct.error, ...
            image = recover(data, settings, least_side, error)
    if image.damage and settings.least_decoded == 1:
        raise ImageRefused(422, f"broken or truncated: {image.damage}; whole files alone are taken")
    return image


def read_size(data: bytes, settings: DecodeSettings = USUAL_DECODING) -> tuple[int, int]:
    """Width and height as stored, from the header alone; (0, 0) if only decoding can show them.

    Raises ImageRefused (413) for more pixels than the settings allow.
    """
    with ignore_pillow_warnings():
        try:
            with identify_image(io.BytesIO(data)) as image:
                check_size(*image.size, settings.max_pixels)
                return image.size
        except ImageRefused:
            raise
        except Exception:
            lean = png.strip_profile(png.strip_texts(data))
            return (0, 0) if len(lean) == len(data) else read_size(lean, settings)


def make_plain(data: bytes, settings: DecodeSettings = USUAL_DECODING) -> bytes:
    """A file that every sidecar reads: `data` itself, or its picture as PNG or JPEG if only this install reads it.

    Never raises for a file that cannot be read: the sidecar says what is wrong with it.
    """
    try:
        image = decode_image(data, settings) if needs_extra(data) else None
    except ImageRefused:
        image = None
    return encode_plain(image.pixels) if image and not image.is_plain else data


def make_upright(image: Image.Image) -> Image.Image:
    """An open image upright, RGB and in sRGB: the rotation and the profile would be lost with its file's metadata."""
    return upright_rgb(image, choose_function(find_colour(image)))


def encode_plain(pixels: Image.Image) -> bytes:
    """A file of the pixels that every sidecar reads: PNG, or JPEG where that would have tens of megabytes."""
    file = io.BytesIO()
    if pixels.width * pixels.height <= MAX_PNG_PIXELS:
        pixels.save(file, "PNG", compress_level=1)
    else:
        pixels.save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


def needs_extra(data: bytes) -> bool:
    """Whether the file may need a decoder that not every install has."""
    return is_heif(data) or data.startswith(TIFF_PREFIXES) or data.startswith(JPEG_SIGNATURE + b"\xff\xf7")


def decode_plain(data: bytes, settings: DecodeSettings, least_side: int, late_colour: bool = False) -> DecodedImage:
    """Decode by Pillow alone. Raises what its decoders raise, and ImageRefused."""
    with identify_image(io.BytesIO(data)) as image:
        check_size(*image.size, settings.max_pixels)
        damage = check_scans(data) if "progressive" in image.info else ""
        if isinstance(image, TiffImagePlugin.TiffImageFile) and not trusts_pillow(image):
            return decode_rare_tiff(data, settings)
        if image.format == "BMP" and not trusts_pillow_bmp(data):
            return decode_rare_bmp(data, settings)
        name, stored = image.format or "", image.size
        if name == "JPEG" and ends_in_zeros(data):
            raise OSError("zero bytes in place of its end")
        colour = find_colour(image, data, settings.colour)
        convert = choose_function(colour)
        is_late = late_colour and can_wait(image, colour)
        pixels, box = small_rgb(clear_surroundings(image), least_side, None if is_late else convert)
        may_end_early = name in ("JPEG", "MPO") and "progressive" not in image.info and has_flat_corner(image)
    if may_end_early and find_gaps(data):
        return decode_start(data, settings)
    size = turn_size(stored, box)
    late = convert if is_late else None
    is_plain = name != "HEIF" and not damage
    return DecodedImage(pixels, box, size, name, damage, colour.ignored, is_plain, late)


def turn_size(stored: tuple[int, int], box: Box) -> tuple[int, int]:
    """The size of the upright picture, whose place has the same sides."""
    lies = box[2] - box[0] > box[3] - box[1]
    return stored if lies == (stored[0] > stored[1]) else stored[::-1]


def can_wait(image: Image.Image, colour: ColourFinding) -> bool:
    """Whether its colours may be converted after it is resized: a resampled mean is nearly the same in both spaces."""
    is_opaque = image.mode == "RGB" and not image.has_transparency_data
    return is_opaque and colour.conversion is not None and colour.conversion.is_mild


def choose_function(colour: ColourFinding) -> ColourFunction | None:
    return colour.conversion.apply if colour.conversion else None


def ends_in_zeros(data: bytes) -> bool:
    """Whether a JPEG's end is missing and zero bytes are in its place: a decoder would take them for pixels."""
    return data.endswith(ZERO_TAIL) and not data.rstrip(b"\0").endswith(b"\xff\xd9")


def check_scans(data: bytes) -> str:
    """Return what is missing in a progressive JPEG.

    Raises ImageRefused: a file of a few bytes may need thousands of passes over all its pixels. Raises OSError if the
    file ends in its coarse scans: a decoder makes what is not in them grey, without an error.
    """
    structure = read_jpeg_structure(data, MAX_SCANS)
    scans = len(structure.scan_ends)
    if scans > MAX_SCANS or scans * structure.width * structure.height > MAX_SCANNED_PIXELS:
        raise ImageRefused(
            422, f"a progressive JPEG of {min(scans, MAX_SCANS)} scans or more, which take too long; save it anew"
        )
    if not structure.complete and not structure.has_all_rows:
        raise OSError("its coarse scans are incomplete")
    return "" if structure.has_all_rows else "some of its coarse scans are missing"


def decode_rare_bmp(data: bytes, settings: DecodeSettings) -> DecodedImage:
    """A BMP file that Pillow refuses, or decodes to wrong pixels. Raises ImageRefused."""
    return build_partial(decode_bmp(data, settings.max_pixels), data, settings)


def decode_rare_tiff(data: bytes, settings: DecodeSettings) -> DecodedImage:
    """A TIFF of a layout that Pillow refuses, or decodes to wrong pixels. Raises ImageRefused."""
    return build_partial(decode_tiff_rows(data, settings.max_pixels), data, settings)


def find_gaps(data: bytes) -> list[PixelBox]:
    return find_jpeg_gaps(data, read_jpeg_structure(data), open_again)


def open_again(data: bytes) -> ImageFile.ImageFile:
    return identify_image(io.BytesIO(data))


def decode_start(data: bytes, settings: DecodeSettings) -> DecodedImage:
    """A sequential JPEG of which only the start is there; the decoder makes up the rest, which is dropped."""
    image = open_again(data)
    check_size(*image.size, settings.max_pixels)
    gaps = find_gaps(data)
    image.load()
    return build_partial(PartialImage(image, gaps), data, settings)


def build_partial(partial: PartialImage, data: bytes, settings: DecodeSettings) -> DecodedImage:
    """The picture with white for what is missing. Raises ImageRefused if that is too much."""
    image, share = partial.image, partial.decoded
    if share < settings.least_decoded:
        least = f"at least {settings.least_decoded:.0%} must be there"
        raise ImageRefused(422, f"broken or truncated: {format_share(share)}, and {least}")
    colour = find_colour(image, data, settings.colour)
    whole = convert_to_rgb(image, 1, choose_function(colour))
    if partial.gaps:
        whole = whole.copy()
    for gap in partial.gaps:
        whole.paste((255, 255, 255), gap)
    pixels, box = turn_upright(image, whole, whole.size)
    damage = "" if not partial.gaps else format_share(share)
    return DecodedImage(pixels, box, pixels.size, image.format or "", damage, colour.ignored, is_plain=False)


def format_share(share: float) -> str:
    """Rounded down, so that 100 % is all of it."""
    return f"{int(share * 100)}% of it can be decoded"


def recover(data: bytes, settings: DecodeSettings, least_side: int, first: Exception) -> DecodedImage:
    """What can be had of a file that Pillow refused. Raises ImageRefused with the reason."""
    if isinstance(first, Image.DecompressionBombError):  # only where the process has not lifted Pillow's limit
        raise ImageRefused(413, f"too many pixels ({first})") from first
    refusal: ImageRefused | None = None
    for attempt in list_attempts(data, settings, least_side):
        try:
            return attempt()
        except ImageRefused as refused:  # the last decoder came furthest
            refusal = refused
            if refused.status == 413:
                raise
        except Exception:
            continue
    raise refusal or ImageRefused(422, describe_failure(data, first)) from first


def list_attempts(data: bytes, settings: DecodeSettings, least_side: int) -> Iterator[Attempt]:
    """Other ways to decode the file, the least intrusive first."""
    if data.startswith(png.SIGNATURE):
        return attempt_png(data, settings, least_side)
    if data.startswith(JPEG_SIGNATURE):
        return attempt_jpeg(data, settings, least_side)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return iter([lambda: build_partial(decode_webp_start(data, open_again), data, settings)])
    if data.startswith(TIFF_PREFIXES):
        return attempt_tiff(data, settings)
    if data.startswith(b"BM"):
        return iter([partial(decode_rare_bmp, data, settings), partial(decode_partly, data, settings)])
    if data.startswith(b"GIF8"):
        return iter([partial(decode_partly, data, settings)])
    if is_avif(data):
        return iter([lambda: decode_mended(mend_avif(data), settings, least_side)])
    return iter(())


def attempt_png(data: bytes, settings: DecodeSettings, least_side: int) -> Iterator[Attempt]:
    for lean in (png.strip_texts(data), png.strip_profile(png.strip_texts(data))):
        if lean is not data:
            yield partial(decode_mended, lean, settings, least_side)
    for mended, damage in (
        (png.mend_checksums(data), "some of its checksums are wrong"),
        (png.mend_checksums(data, png.BARE_CHUNKS), "some of its chunks are broken"),
    ):
        yield partial(decode_mended, mended, settings, least_side, damage)
    yield partial(decode_partly, mended, settings)


def attempt_jpeg(data: bytes, settings: DecodeSettings, least_side: int) -> Iterator[Attempt]:
    data = data.rstrip(b"\0") if ends_in_zeros(data) else data
    if least_side:  # a lossless JPEG is not decoded at a scale, here and below
        yield partial(decode_plain, data, settings, 0)
    structure = read_jpeg_structure(data)
    clean = rewrite_jpeg(data, structure)
    if structure.complete:
        yield partial(decode_mended, clean, settings, 0)
    elif structure.has_all_rows:
        yield partial(decode_mended, clean, settings, 0, "cut off: its fine details are missing")
    elif structure.scans and (not structure.is_progressive or is_coarse(structure.scans[-1])):
        yield partial(decode_start, clean, settings)
    yield partial(refuse_jpeg, structure)


def attempt_tiff(data: bytes, settings: DecodeSettings) -> Iterator[Attempt]:
    yield partial(decode_rare_tiff, data, settings)
    yield partial(decode_trusted_tiff, data, settings)


def decode_trusted_tiff(data: bytes, settings: DecodeSettings) -> DecodedImage:
    """What Pillow can decode of a TIFF of a layout that it decodes rightly. Raises what it raises, and ImageRefused."""
    with open_again(data) as image:
        if not isinstance(image, TiffImagePlugin.TiffImageFile) or not trusts_pillow(image):
            raise UnidentifiedImageError("a TIFF layout for the other decoder")
    return decode_partly(data, settings)


def decode_mended(data: bytes, settings: DecodeSettings, least_side: int, damage: str = "") -> DecodedImage:
    image = decode_plain(data, settings, least_side)
    return replace(image, damage=image.damage or damage, is_plain=False)


def decode_partly(data: bytes, settings: DecodeSettings) -> DecodedImage:
    image = open_again(data)
    check_size(*image.size, settings.max_pixels)
    return build_partial(decode_rows(partial(open_again, data)), data, settings)


def refuse_jpeg(structure: JpegStructure) -> NoReturn:
    """Raises ImageRefused with the proper name of a kind of JPEG that is not decoded; else ValueError."""
    name = JPEG_FRAMES.get(structure.frame.marker) if structure.frame else None
    if structure.precision not in (0, 8) and not name:
        name = f"{structure.precision}-bit JPEG"
    if name is None:
        raise ValueError("a usual JPEG")
    raise ImageRefused(422, f"{name}, which is not read here; save it as JPEG or PNG")


def describe_failure(data: bytes, error: Exception) -> str:
    if not isinstance(error, UnidentifiedImageError):
        return f"broken or truncated ({error})"
    if is_heif(data) and not has_heif():
        return "a HEIC photo; to read these, `pip install clip-vectorizer[heif]`, or save it as JPEG"
    name = describe_content(data)
    if name != UNKNOWN:
        return name
    own = next((name for start, name in OWN_SIGNATURES.items() if data.startswith(start)), "")
    return f"a {own} file whose header is broken or truncated" if own else name
