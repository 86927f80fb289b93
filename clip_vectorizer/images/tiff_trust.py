"""Which TIFF pages Pillow decodes to the right pixels. It gives no error for those that it decodes to wrong ones."""

from contextlib import suppress

from PIL import TiffImagePlugin

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.tiff_codecs import BYTE_CODECS
from clip_vectorizer.images.tiff_directory import TiffDirectory, list_tiff_pages, read_directory
from clip_vectorizer.images.tiff_fax import ends_in_one_colour
from clip_vectorizer.images.tiff_layout import (
    CCITT_T6,
    CIELAB,
    CMYK,
    JPEG,
    MIN_IS_BLACK,
    MIN_IS_WHITE,
    NO_COMPRESSION,
    OLD_JPEG,
    PALETTE,
    RGB,
    UNSIGNED,
    TiffLayout,
    read_layout,
)
from clip_vectorizer.images.tiff_samples import PREDICTORS

PLAIN_BITS = {MIN_IS_WHITE: (1, 2, 4, 8), MIN_IS_BLACK: (1, 2, 4, 8, 16), RGB: (8, 16), CMYK: (8, 16), CIELAB: (8,)}
COMPRESSION, PHOTOMETRIC, PLANES, COLOR_MAP = 259, 262, 284, 320


def trusts_pillow(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether Pillow decodes the first page of an opened file to the right pixels, or refuses it.

    A list of what is right: a layout that is not on it may give noise without an error, as uncompressed planes of 16
    bits do, or other greys: 12 bits, where white is 65535 for Pillow.
    """
    file = image.fp
    if file is None:  # closed
        return False
    at = file.tell()
    try:
        directory = read_directory(file, list_tiff_pages(file, 1)[0])
        layout = read_layout(directory)
        is_same = image.tag_v2.get(COMPRESSION, NO_COMPRESSION) == layout.compression  # of two tags each takes another
        is_known = is_same and PHOTOMETRIC in directory.entries and is_plain(layout, directory)
        return is_known and not (layout.compression == CCITT_T6 and may_have_stopped(image))
    except ImageRefused:
        return False
    finally:
        file.seek(at)


def may_have_stopped(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether a fax page ends in white rows that may not be in the file, or is broken. It is loaded for it."""
    with suppress(Exception):  # to load it once more would raise nothing, and show what was decoded before the fault
        image.load()
        return ends_in_one_colour(image)
    return True


def is_plain(layout: TiffLayout, directory: TiffDirectory) -> bool:
    if layout.compression == OLD_JPEG:  # all of it is in libtiff
        return True
    bits = layout.bits[0]
    if layout.compression not in (*BYTE_CODECS, JPEG) or layout.predictor not in PREDICTORS:
        return False
    if layout.sample_format != UNSIGNED or set(layout.bits) != {bits}:
        return False
    if layout.reversed_bits and bits > 1:
        return False
    if directory.number(PLANES, 1) == 2 and (bits, layout.photometric) != (8, RGB):  # grey in one plane is inverted
        return False
    if layout.compression == JPEG:
        return bits == 8
    if layout.photometric == PALETTE:
        return bits in (1, 2, 4, 8) and int(directory.numbers(COLOR_MAP).max(initial=0)) > 255
    return bits in PLAIN_BITS.get(layout.photometric, ())
