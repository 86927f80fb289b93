import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from ingest.items import GeoPoint
from ingest.sources.exif import read_exif

Base, Gps, Ifd = ExifTags.Base, ExifTags.GPS, ExifTags.IFD
DMS = tuple[float, float, float]


def photo(
    top: dict[int, object] | None = None,
    own: dict[int, object] | None = None,
    gps: dict[int, object] | None = None,
    kind: str = "JPEG",
) -> bytes:
    exif = Image.Exif()
    exif.update(top or {})
    for tag, fields in ((Ifd.Exif, own), (Ifd.GPSInfo, gps)):
        if fields:
            exif.get_ifd(tag).update(fields)
            exif[tag] = 0  # Pillow writes it where it comes to lie; into a TIFF only what has a place
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, kind, exif=exif)
    return out.getvalue()


def place(latitude: DMS, north: str, longitude: DMS, east: str) -> dict[int, object]:
    return {
        Gps.GPSLatitudeRef: north,
        Gps.GPSLatitude: tuple(map(IFDRational, latitude)),
        Gps.GPSLongitudeRef: east,
        Gps.GPSLongitude: tuple(map(IFDRational, longitude)),
    }


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_time_camera_and_place_are_read_from_every_kind_of_file(kind: str) -> None:
    data = photo(
        {Base.Make: "Apple", Base.Model: "iPhone 15"},
        {Base.DateTimeOriginal: "2024:05:06 07:08:09", Base.OffsetTimeOriginal: "+02:00"},
        place((48, 51, 30), "N", (2, 17, 40.2), "E"),
        kind,
    )
    found = read_exif(data)
    assert found["taken_at"] == datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=2)))
    assert found["camera"] == "Apple iPhone 15"
    assert found["location"] == GeoPoint(pytest.approx(48.858333), pytest.approx(2.2945))


def test_south_and_west_are_negative() -> None:
    found = read_exif(photo(gps=place((33, 30, 0), "S", (70, 36, 0), "W")))
    assert found == {"location": GeoPoint(-33.5, -70.6)}


@pytest.mark.parametrize("offset", ["", "  :  ", "nonsense"])
def test_a_time_without_a_valid_offset_is_taken_as_utc(offset: str) -> None:
    own = {Base.DateTimeOriginal: "2024:05:06 07:08:09", Base.OffsetTimeOriginal: offset}
    assert read_exif(photo(own=own)) == {"taken_at": datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("SONY ", " ILCE-7M3\0\0junk", "SONY ILCE-7M3"),
        ("", "PowerShot", "PowerShot"),
        ("Leica", "", "Leica"),
    ],
)
def test_the_make_is_not_doubled(make: str, model: str, camera: str) -> None:
    assert read_exif(photo({Base.Make: make, Base.Model: model})) == {"camera": camera}


def test_one_broken_field_costs_no_other() -> None:
    gps = place((91, 0, 0), "N", (2, 0, 0), "E")
    data = photo({Base.Model: "X"}, {Base.DateTimeOriginal: "0000:00:00 00:00:00"}, gps)
    assert read_exif(data) == {"camera": "X"}


@pytest.mark.parametrize(
    "gps",
    [
        place((1, 2, 3), "X", (1, 2, 3), "E"),
        {Gps.GPSLatitude: (IFDRational(1), IFDRational(2), IFDRational(3))},
        place((1, 2, 3), "N", (1, 2, 3), "E") | {Gps.GPSLatitude: (IFDRational(0, 0),) * 3},
        place((1, 2, 3), "N", (1, 2, 3), "E") | {Gps.GPSLongitudeRef: ""},
    ],
)
def test_half_a_place_is_none(gps: dict[int, object]) -> None:
    assert read_exif(photo(gps=gps)) == {}


def test_what_is_no_picture_has_no_metadata() -> None:
    assert read_exif(b"") == read_exif(b"no picture") == {}


@given(at=st.integers(0, 400), data=st.binary(min_size=1, max_size=30))
def test_broken_exif_never_raises(at: int, data: bytes) -> None:
    gps = place((48, 51, 30), "N", (2, 17, 40), "E")
    sound = photo({Base.Make: "A", Base.Model: "B"}, {Base.DateTimeOriginal: "2024:05:06 07:08:09"}, gps)
    found = read_exif(sound[:at] + data + sound[at + len(data) :])
    assert set(found) <= {"taken_at", "camera", "location"}
    read_exif(sound[:at])
