import os
from pathlib import Path

import pytest
from PIL import Image

from ingest.choices import Fit
from ingest.items import Facts, UnusableFile
from ingest.sources.base import SourceOptions
from ingest.sources.file_types import expand_entry
from ingest.sources.reading import open_regular, read_whole
from tests.ingest.fakes import encoded, png
from tests.ingest.sources.pdf_files import pdf
from tests.ingest.sources.support import entry, expanded, failures, items, written


def why_not(path: Path) -> str:
    with pytest.raises(UnusableFile) as caught:
        read_whole(lambda: open_regular(path))
    return str(caught.value)


def test_a_picture_is_one_item_with_the_bytes_of_its_file(tmp_path: Path) -> None:
    file = written(tmp_path / "x.png", png())
    [item] = items(expanded("cats/x.png", lambda: open_regular(file)))
    assert (item.key, item.source, item.fit, item.read()) == ("cats/x.png", "/source", Fit.CROP, png())


def test_nothing_is_read_while_items_are_listed() -> None:
    def fail() -> object:
        raise AssertionError("opened")

    assert len(items(expanded("x.png", fail))) == len(items(expanded("x.gif", fail))) == 1  # type: ignore[arg-type]


def test_facts_are_those_of_the_entry() -> None:
    facts = Facts("cats", "a cat", {"year": 1990})
    [item] = items(expand_entry(entry("x.png", png(), facts=facts), SourceOptions()))
    assert item.facts(png()) == facts


def test_the_time_in_a_photo_becomes_a_property_by_option() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS"
    data = encoded(Image.new("RGB", (8, 8)), "JPEG", exif=exif)
    [plain], [with_exif] = items(expanded("x.jpg", data)), items(expanded("x.jpg", data, exif=True))
    assert not plain.facts(data).metadata and "Canon" in str(with_exif.facts(data).metadata)


@pytest.mark.parametrize("options", [{"fit": Fit.CROP}, {"dpi": 151}, {"exif": True}])
def test_the_stamp_of_a_page_changes_with_what_changes_it(options: dict[str, object]) -> None:
    plain, other = items(expanded("x.pdf", pdf(b""))), items(expanded("x.pdf", pdf(b""), **options))
    assert plain[0].stamp and plain[0].stamp != other[0].stamp


def test_dots_per_inch_do_not_change_the_stamp_of_a_photo() -> None:
    assert items(expanded("x.png", png()))[0].stamp == items(expanded("x.png", png(), dpi=99))[0].stamp


def test_a_stamp_that_is_not_known_stays_unknown() -> None:
    assert [item.stamp for item in items(expand_entry(entry("x.pdf", pdf(b"", b""), stamp=""), SourceOptions()))] == [
        "",
        "",
    ]


def test_the_kind_of_an_address_is_that_of_its_path() -> None:
    [item] = items(expanded("https://example.org/x.pdf?id=3", pdf(b"")))
    assert item.key == "https://example.org/x.pdf?id=3#page=1"


def test_a_file_that_cannot_be_used_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(80_000_000)  # sparse
    assert why_not(tmp_path / "gone") == "cannot be read (No such file or directory)"
    assert why_not(written(tmp_path / "empty", b"")) == "empty file (0 bytes)"
    assert why_not(tmp_path) == "a folder, not a file"
    assert why_not(tmp_path / "pipe") == "not a regular file"
    assert why_not(tmp_path / "large") == "80 MB; the limit of Weaviate is 70 MB per image"


def test_failures_name_the_source() -> None:
    [failure] = expanded("x.pdf", b"")
    assert failures([failure]) and failure.source == "/source"  # type: ignore[union-attr]
