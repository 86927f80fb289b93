"""Colours converted to sRGB by the profile, chunks or header in the file; left alone where they are sRGB already.

As Chromium does it, so that an image is seen as on the web: a profile's table for the perceptual intent, else its
matrix and curves (relative colorimetric), without compensation of the black point: the black of a print profile stays
the dark grey of its ink. Whether a profile is one of the many variants of sRGB is found by its effect, once, and kept
by the profile's hash.
"""

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from PIL import Image, ImageCms

from clip_vectorizer.images.colour_signals import MAX_PROFILE_BYTES, ColourSignal, read_signals
from clip_vectorizer.images.icc import BT709, SRGB_CURVE, build_rgb_profile
from clip_vectorizer.images.linear_light import convert_hdr, convert_lab
from clip_vectorizer.images.settings import ColourMode

PixelFunction = Callable[[Image.Image], Image.Image]

SRGB_TOLERANCE = 1  # levels of 255: sRGB's published variants differ from each other by that
MILD_CHANGE = 12  # levels of 255
GRID = (0, 8, 16, 32, 64, 96, 128, 160, 192, 224, 240, 255)  # levels of each channel that are compared
MAX_NAME = 60  # characters
CACHED_PROFILES = 64  # a matrix takes some kilobytes, a table for RGB or CMYK less than one megabyte
SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # colour space of a profile -> mode of its pixels
NOUNS = {"RGB": "RGB", "L": "grey", "CMYK": "CMYK"}
DEVICE_CLASSES = ("mntr", "scnr", "prtr", "spac")  # not: device links, abstract profiles, named colours
MODES = {"L": "L", "LA": "L", "La": "L", "1": "L", "CMYK": "CMYK", "LAB": "LAB"}  # of images; others are RGB
# A table of three channels is resampled: with more nodes XYB's error falls by a quarter. A matrix needs no table.
FLAGS = {"RGB": ImageCms.Flags.HIGHRESPRECALC, "L": ImageCms.Flags.NOOPTIMIZE, "CMYK": ImageCms.Flags.NONE}


@dataclass(frozen=True, slots=True)
class ColourConversion:
    """Converts the bands of one image; thread-safe."""

    profile: str  # its name, such as "Display P3"; "" if it has none
    convert: PixelFunction  # without alpha, to RGB
    is_mild: bool = False  # whether pixels may be averaged first: no mixing of channels, and about sRGB's curve

    def apply(self, band: Image.Image) -> Image.Image:
        """The band in sRGB: RGB, or RGBA if it has alpha, which is unchanged. Its mode is the image's, P expanded."""
        if band.mode not in ("LA", "RGBA"):
            return self.convert(band)
        result = self.convert(band.convert(band.mode[:-1]))
        result.putalpha(band.getchannel("A"))
        return result


@dataclass(frozen=True, slots=True)
class ColourFinding:
    """What the colours of one image need."""

    conversion: ColourConversion | None = None  # None: they are sRGB
    ignored: str = ""  # why a profile in the file is not used


BROKEN = ColourFinding(ignored="its colour profile is broken")


class FindingCache:
    """The latest findings by hash of the profile and mode of the pixels. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._findings: OrderedDict[tuple[bytes, str], ColourFinding] = OrderedDict()

    def find(self, profile: bytes, space: str) -> ColourFinding:
        key = (hashlib.blake2b(profile, digest_size=16).digest(), space)
        with self._lock:
            if key in self._findings:
                self._findings.move_to_end(key)
                return self._findings[key]
        finding = build_finding(profile, space)  # of two threads both may build it
        with self._lock:
            self._findings[key] = finding
            if len(self._findings) > self._most:
                self._findings.popitem(last=False)
        return finding


FINDINGS = FindingCache(CACHED_PROFILES)


def find_colour(image: Image.Image, data: bytes = b"", mode: ColourMode = "srgb") -> ColourFinding:
    """How the colours of an image become sRGB; its pixels need not be loaded. Thread-safe.

    `data` is the file, for what Pillow does not return: PNG's chunks, AVIF's `nclx`, BMP's header. Nothing is raised
    for what is in it. With `raw` only CIELab is converted, which has no levels of red, green and blue.

    >>> find_colour(Image.new("RGB", (1, 1)))
    ColourFinding(conversion=None, ignored='')
    """
    space = MODES.get(image.mode, "L" if image.mode.startswith(("I", "F")) else "RGB")
    if space == "LAB" or mode == "raw":
        return ColourFinding(ColourConversion("CIELab", convert_lab) if space == "LAB" else None)
    return choose_finding(read_signals(image, data), space)


def choose_finding(signals: Iterable[ColourSignal], space: str) -> ColourFinding:
    """By the first signal that is not broken; of one for another colour space than the pixels' none is used."""
    fault = ""
    for signal in signals:
        found = use_signal(signal, space)
        if not signal.fault and found != BROKEN:
            return ColourFinding(found.conversion, fault or found.ignored)
        fault = fault or found.ignored
    return ColourFinding(None, fault)


def use_signal(signal: ColourSignal, space: str) -> ColourFinding:
    if signal.hdr and space != "CMYK":
        return ColourFinding(ColourConversion("HDR", partial(convert_hdr, *signal.hdr)))
    if signal.fault or not signal.profile:
        return ColourFinding(ignored=signal.fault)
    if len(signal.profile) > MAX_PROFILE_BYTES:
        return ColourFinding(ignored=f"its colour profile has more than {MAX_PROFILE_BYTES // 1_000_000} MB")
    return FINDINGS.find(signal.profile, space)


def build_finding(profile: bytes, space: str) -> ColourFinding:
    if int.from_bytes(profile[:4]) > len(profile):  # cut short; LittleCMS may open it all the same, browsers do not
        return BROKEN
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        kind = SPACES.get(opened.profile.xcolor_space, opened.profile.xcolor_space.strip())
        if opened.profile.device_class not in DEVICE_CLASSES or (kind != space and (space, kind) != ("L", "RGB")):
            return ColourFinding(ignored=f"its colour profile is for {NOUNS.get(kind, kind)}, not {NOUNS[space]}")
        return ColourFinding(build_conversion(opened, kind, space))
    except Exception:  # LittleCMS has no reasons, and its binding raises OSError, ValueError, UnicodeError, ...
        return BROKEN


def build_conversion(profile: ImageCms.ImageCmsProfile, kind: str, space: str) -> ColourConversion | None:
    """None for sRGB. A grey image may have an RGB profile: its levels are then the same in all channels."""
    transform = build_transform(profile, kind)
    convert: PixelFunction = partial(run_transform, transform)
    if space == "L":
        ramp = convert(Image.fromarray(np.arange(256, dtype=np.uint8)[None]))
        tables = np.asarray(ramp)[0].T.tobytes()
        convert = partial(map_levels, tables)
    if space != "CMYK" and keeps_colours(convert, space):
        return None
    return ColourConversion(read_name(profile), convert, space == "RGB" and keeps_grey(convert))


def build_transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    """To sRGB. Raises PyCMSError, OSError or ValueError."""
    for intent in (ImageCms.Intent.PERCEPTUAL, ImageCms.Intent.RELATIVE_COLORIMETRIC):
        with suppress(OSError, ValueError):  # some profiles have a table for the second only
            return ImageCms.ImageCmsTransform(profile, open_srgb_profile(), mode, "RGB", intent, flags=FLAGS[mode])
    raise ValueError("no transform can be built")


@lru_cache(maxsize=1)
def open_srgb_profile() -> ImageCms.ImageCmsProfile:
    """Of version 2, see `icc`."""
    return ImageCms.ImageCmsProfile(io.BytesIO(build_rgb_profile("sRGB", BT709, (SRGB_CURVE,))))


def run_transform(transform: ImageCms.ImageCmsTransform, colours: Image.Image) -> Image.Image:
    mode = transform.input_mode
    result = transform.apply(colours if colours.mode == mode else colours.convert(mode))
    result.info.clear()  # the binding puts sRGB's profile there
    return result


def map_levels(tables: bytes, colours: Image.Image) -> Image.Image:
    """Grey by three tables of 256 levels, to RGB."""
    grey = colours if colours.mode == "L" else colours.convert("L")
    channels = [tables[:256], tables[256:512], tables[512:]]
    if channels[0] == channels[1] == channels[2]:
        return grey.point(channels[0]).convert("RGB")
    return Image.merge("RGB", [grey.point(table) for table in channels])


def keeps_colours(convert: PixelFunction, space: str) -> bool:
    """Whether the conversion changes no level by more than sRGB's variants differ."""
    sample = sample_colours(space)
    changes = np.asarray(convert(sample)).astype(np.int16) - np.asarray(sample.convert("RGB"))
    return bool(np.abs(changes).max() <= SRGB_TOLERANCE)


def keeps_grey(convert: PixelFunction) -> bool:
    """Whether grey stays grey, about as bright: by Adobe RGB's curve by 9 levels, by ProPhoto's by 17."""
    ramp = sample_colours("L").convert("RGB")
    changes = np.asarray(convert(ramp)).astype(np.int16) - np.asarray(ramp)
    return bool(np.abs(changes).max() <= MILD_CHANGE)


def sample_colours(space: str) -> Image.Image:
    """All levels of grey, or a grid of colours, in one row."""
    if space == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    grid = np.stack(np.meshgrid(GRID, GRID, GRID, indexing="ij"), axis=-1)
    return Image.fromarray(grid.reshape(1, -1, 3).astype(np.uint8))


def read_name(profile: ImageCms.ImageCmsProfile) -> str:
    with suppress(Exception):  # a name in a broken encoding
        name = (profile.profile.profile_description or "").replace("\0", " ")
        return " ".join("".join(letter for letter in name if letter.isprintable()).split())[:MAX_NAME]
    return ""
