"""Time, camera and location of a photo, from its EXIF block."""

import io
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from PIL import ExifTags, Image

from clip_vectorizer.images.pillow import open_image
from ingest.items import GeoPoint, MetadataValue

ExifTagValues = Mapping[int, object]
Base, Gps, Ifd = ExifTags.Base, ExifTags.GPS, ExifTags.IFD
MAX_CAMERA_LENGTH = 100  # characters of a camera's


def read_exif(data: bytes) -> dict[str, MetadataValue]:
    """Return `taken_at`, `camera` and `location` (CIPA DC-008), those that the file has.

    Never raises: broken values are left out. A time without an offset is taken as UTC: EXIF before version 2.31 has no
    field for the time zone.
    """
    found: dict[str, MetadataValue] = {}
    with suppress(Exception), open_image(io.BytesIO(data)) as picture:
        # Not picture.getexif(): for a PNG without EXIF it decodes all pixels in order to look for EXIF after them.
        exif = Image.Image.getexif(picture)
        add_property(found, "taken_at", lambda: read_time(exif.get_ifd(Ifd.Exif)))
        add_property(found, "camera", lambda: read_camera(exif))
        add_property(found, "location", lambda: read_location(exif.get_ifd(Ifd.GPSInfo)))
    return found


def add_property(found: dict[str, MetadataValue], name: str, read: Callable[[], MetadataValue | None]) -> None:
    with suppress(Exception):
        value = read()
        if value:
            found[name] = value


def read_time(tags: ExifTagValues) -> datetime | None:
    time = datetime.strptime(read_words(tags, Base.DateTimeOriginal), "%Y:%m:%d %H:%M:%S")
    with suppress(ValueError):  # no offset, or a broken one
        return time.replace(tzinfo=datetime.strptime(read_words(tags, Base.OffsetTimeOriginal), "%z").tzinfo)
    return time.replace(tzinfo=UTC)


def read_camera(tags: ExifTagValues) -> str:
    """Return make and model; many models start with the make: NIKON CORPORATION, NIKON D90."""
    make, model = read_words(tags, Base.Make), read_words(tags, Base.Model)
    doubled = make and model.lower().startswith(make.split()[0].lower())
    return (model if doubled else f"{make} {model}".strip())[:MAX_CAMERA_LENGTH]


def read_words(tags: ExifTagValues, tag: int) -> str:
    value = tags.get(tag)
    return " ".join(value.partition("\0")[0].split()) if isinstance(value, str) else ""


def read_location(tags: ExifTagValues) -> GeoPoint | None:
    latitude = read_degrees(tags, Gps.GPSLatitude, Gps.GPSLatitudeRef, "NS", 90)
    longitude = read_degrees(tags, Gps.GPSLongitude, Gps.GPSLongitudeRef, "EW", 180)
    return None if latitude is None or longitude is None else GeoPoint(latitude, longitude)


def read_degrees(tags: ExifTagValues, value: int, side: int, sides: str, most: int) -> float | None:
    """Convert degrees, minutes and seconds to degrees, negative for the second of the `sides`."""
    parts, letter = tags[value], read_words(tags, side).upper()
    if not isinstance(parts, tuple) or len(parts) != 3 or not letter or letter not in sides:
        return None
    whole, minutes, seconds = (float(part) for part in parts)
    total = whole + minutes / 60 + seconds / 3600
    if not math.isfinite(total) or not 0 <= total <= most:
        return None
    return -total if letter == sides[1] else total
