"""When, with what and where a picture was taken, as its EXIF block tells."""

import io
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from PIL import ExifTags, Image

from clip_vectorizer.pictures import FORMATS
from ingest.items import Place, Value

Tags = Mapping[int, object]
Base, Gps, Ifd = ExifTags.Base, ExifTags.GPS, ExifTags.IFD
LONGEST_NAME = 100  # characters of a camera's


def exif_metadata(data: bytes) -> dict[str, Value]:
    """`taken_at`, `camera` and `location` (CIPA DC-008), those that the file has.

    Never raises: what is broken is left out.

    A time without an offset is taken as UTC: EXIF before version 2.31 has no word for the time zone.
    """
    found: dict[str, Value] = {}
    with suppress(Exception), Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        # Not picture.getexif(): that of a PNG without EXIF decodes all of its pixels to look behind them.
        exif = Image.Image.getexif(picture)
        add(found, "taken_at", lambda: taken_at(exif.get_ifd(Ifd.Exif)))
        add(found, "camera", lambda: camera(exif))
        add(found, "location", lambda: location(exif.get_ifd(Ifd.GPSInfo)))
    return found


def add(found: dict[str, Value], name: str, read: Callable[[], Value | None]) -> None:
    with suppress(Exception):
        value = read()
        if value:
            found[name] = value


def taken_at(tags: Tags) -> datetime | None:
    time = datetime.strptime(words(tags, Base.DateTimeOriginal), "%Y:%m:%d %H:%M:%S")
    with suppress(ValueError):  # no offset, or a broken one
        return time.replace(tzinfo=datetime.strptime(words(tags, Base.OffsetTimeOriginal), "%z").tzinfo)
    return time.replace(tzinfo=UTC)


def camera(tags: Tags) -> str:
    """Make and model; many models begin with the make: NIKON CORPORATION, NIKON D90."""
    make, model = words(tags, Base.Make), words(tags, Base.Model)
    doubled = make and model.lower().startswith(make.split()[0].lower())
    return (model if doubled else f"{make} {model}".strip())[:LONGEST_NAME]


def words(tags: Tags, tag: int) -> str:
    value = tags.get(tag)
    return " ".join(value.partition("\0")[0].split()) if isinstance(value, str) else ""


def location(tags: Tags) -> Place | None:
    latitude = degrees(tags, Gps.GPSLatitude, Gps.GPSLatitudeRef, "NS", 90)
    longitude = degrees(tags, Gps.GPSLongitude, Gps.GPSLongitudeRef, "EW", 180)
    return None if latitude is None or longitude is None else Place(latitude, longitude)


def degrees(tags: Tags, value: int, side: int, sides: str, most: int) -> float | None:
    """Degrees, minutes and seconds as degrees, negative on the second of the `sides`."""
    parts, letter = tags[value], words(tags, side).upper()
    if not isinstance(parts, tuple) or len(parts) != 3 or not letter or letter not in sides:
        return None
    whole, minutes, seconds = (float(part) for part in parts)
    total = whole + minutes / 60 + seconds / 3600
    if not math.isfinite(total) or not 0 <= total <= most:
        return None
    return -total if letter == sides[1] else total
