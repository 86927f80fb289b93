import io
import zipfile
from collections.abc import Callable

import fsspec
import pytest

from clip_vectorizer.address_guard import AddressGuard
from clip_vectorizer.errors import InputError, SettingsError
from ingest.choices import Fit
from ingest.items import Facts
from ingest.retry import RetryPolicy
from ingest.sources.base import SkippedFile, SourceOptions, SourceResult
from ingest.sources.remote import open_remote
from ingest.sources.storage import StorageTransport, parse_storage_value, stamp_file_info
from ingest.sources.transport import Transport
from tests.ingest.fakes import png
from tests.ingest.sources.pdf_files import pdf
from tests.ingest.sources.support import failures, items, picture, reason
from tests.ingest.sources.web_server import Site

ANYWHERE = AddressGuard.parse(["all"])


def put(address: str, data: bytes | str) -> str:
    fsspec.filesystem("memory").pipe(address, data if isinstance(data, bytes) else data.encode())
    return address


def listed(word: str, far: Transport, **options: object) -> list[SourceResult]:
    return list(open_remote(word, SourceOptions(**options), far))


def keys(found: list[SourceResult]) -> list[str]:
    return [item.key for item in items(found)]


def refusal(word: str, far: Transport) -> str:
    with pytest.raises(InputError) as caught:
        open_remote(word, SourceOptions(), far)
    return str(caught.value)


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return out.getvalue()


def test_a_folder_is_searched_to_all_depths_in_order(bucket: str, far: Transport) -> None:
    for name in ("b/x.png", "a/deep/y.JPG", "z.webp", ".hidden/x.png", "notes.md"):
        put(f"{bucket}/{name}", png())
    found = listed(bucket, far)
    assert keys(found) == ["a/deep/y.JPG", "b/x.png", "z.webp"] == keys(listed(f"{bucket}/", far))
    assert open_remote(f"{bucket}/", SourceOptions(), far).name == bucket
    assert [one.key for one in found if isinstance(one, SkippedFile)] == ["notes.md"]
    assert {item.source for item in items(found)} == {bucket} and items(found)[0].read() == png()


def test_patterns_and_captions_count_as_on_disk(bucket: str, far: Transport) -> None:
    put(f"{bucket}/cats/x.png", png())
    put(f"{bucket}/cats/x.txt", "a cat")
    put(f"{bucket}/cats/x.json", '{"year": 1990}')
    put(f"{bucket}/old/y.png", png())
    [item] = items(listed(bucket, far, ignore=("old/",)))
    assert (item.key, item.facts(png())) == ("cats/x.png", Facts("cats", "a cat"))


def test_a_single_file_has_its_own_name(bucket: str, far: Transport) -> None:
    put(f"{bucket}/a/x.png.txt", "a caption")
    [item] = items(listed(put(f"{bucket}/a/x.png", png()), far))
    assert (item.key, item.source, item.read()) == ("x.png", f"{bucket}/a/x.png", png())
    assert item.facts(png()) == Facts("a", "a caption")


def test_a_source_looks_afresh_each_time(bucket: str, site: Site, far: Transport) -> None:
    site.add("/x.png", png())
    put(f"{bucket}/x.png", png())
    for word in (bucket, f"{bucket}/x.png", f"{site.address}/x.png"):
        source = open_remote(word, SourceOptions(), far)
        first, again = (items(source) for _ in range(2))
        put(f"{bucket}/x.png", png((9, 9, 9)))
        site.add("/x.png", png((len(word), 9, 9)))
        [changed] = items(source)
        assert first[0].stamp == again[0].stamp and (changed.stamp != first[0].stamp or not changed.stamp)
        assert source.name == first[0].source


def test_a_pdf_far_away_becomes_its_pages(bucket: str, far: Transport, site: Site) -> None:
    data = pdf(b"", b"")
    for address in (put(f"{bucket}/x.pdf", data), site.add("/x.pdf", data), site.add("/y.pdf", data, ranges=False)):
        found = items(listed(address, far))
        assert [item.key[1:] for item in found] == [".pdf#page=1", ".pdf#page=2"] and found[0].fit is Fit.PAD
        assert picture(found[1].read()).size > (100, 100)


def test_an_archive_far_away_is_read_in_parts(bucket: str, far: Transport, site: Site) -> None:
    data = zipped(a_png=png(), big_bin=b"x" * 9_000_000, b_png=png((1, 2, 3)))
    for address in (put(f"{bucket}/x.zip", data), site.add("/x.zip", data), site.add("/y.zip", data, ranges=False)):
        found = items(listed(address, far))
        assert [item.key[1:] for item in found] == [".zip::a.png", ".zip::b.png"]
        assert found[1].read() == png((1, 2, 3))


def test_a_remote_table_names_files_in_its_own_folder(bucket: str, far: Transport, site: Site) -> None:
    put(f"{bucket}/sub/x 1.png", png())
    site.add("/sets/sub/x%201.png", png())
    text = "path,label\nsub/x 1.png,cats\n/etc/x.png,no\n"
    for address in (put(f"{bucket}/t.csv", text), site.add("/sets/t.csv", text.encode()) + "?token=geheim"):
        found = listed(address, far)
        [item] = items(found)
        assert (item.key, item.read(), item.facts(b"").label) == ("sub/x 1.png", png(), "cats")
        assert "geheim" not in item.source and "--root" in failures(found)["t.csv#row=3"]


def test_an_image_of_the_web_is_known_by_its_etag_and_without_its_signature(site: Site, far: Transport) -> None:
    address = site.add("/a/photo%201.png", png())
    [item] = items(listed(address.replace("//", "//user:geheim@") + "?X-Amz-Signature=geheim", far))
    assert (item.key, item.source, item.read()) == ("photo 1.png", address, png()) and item.stamp
    assert site.seen_headers[-1]["Authorization"].startswith("Basic ")


def test_a_pdf_of_the_web_is_known_by_its_type(site: Site, far: Transport) -> None:
    address = site.add("/download", pdf(b""), headers={"Content-Type": "application/pdf; charset=binary"})
    assert keys(listed(address, far)) == ["download.pdf#page=1"]


def test_a_web_page_is_refused(site: Site, far: Transport) -> None:
    address = site.add("/photos/", b"<html>", headers={"Content-Type": "text/html"})
    assert "list the images in a table" in refusal(address, far)


@pytest.mark.parametrize("name", ["x.png", "x.zip", "x.csv", "x.pdf", "folder/"])
def test_what_is_not_there_is_refused_by_name(bucket: str, far: Transport, site: Site, name: str) -> None:
    for word in (f"{bucket}/none/{name}", f"{site.address}/none/{name}"):
        message = refusal(word, far)
        assert message.startswith(word) and ("not found" in message or "no images in this folder" in message)


def test_a_folder_without_images_is_refused(bucket: str, far: Transport) -> None:
    put(f"{bucket}/x.md", "text")
    assert "no images in this folder" in refusal(bucket, far)


def test_a_missing_package_is_named_with_its_extra() -> None:
    for word, extra in (("s3://bucket/x", "s3"), ("gs://bucket/x", "gcs")):
        with pytest.raises(SettingsError, match=rf"{word}.*pip install clip-vectorizer\[{extra}\]"):
            open_remote(word, SourceOptions())


def test_an_unknown_kind_of_address_is_refused(far: Transport) -> None:
    assert "known schemes are http, https, s3" in refusal("s4://bucket/x", far)


def test_options_that_no_file_system_takes_are_refused_without_their_values() -> None:
    far = Transport({"secret": "geheim", "nonsense": "geheim2"})
    assert "geheim" not in refusal("file:///none/x.png", far)


class Failing(fsspec.get_filesystem_class("memory")):  # type: ignore[misc]
    """Fails as many of the next reads as configured."""

    protocol = "failing"
    store: dict[str, object] = {}  # noqa: RUF012 - fsspec's own way
    failures: list[Exception] = []  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("failing://", "memory://")))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: object) -> bytes:
        if self.failures:
            raise self.failures.pop(0)
        return bytes(super().cat_file(path, start, end, **kwargs))


fsspec.register_implementation("failing", Failing, clobber=True)


@pytest.mark.parametrize("problem", [TimeoutError(), ConnectionResetError("reset"), OSError(16, "SlowDown")])
def test_a_failure_of_a_bucket_that_passes_is_tried_again(waits: list[float], problem: Exception) -> None:
    fsspec.filesystem("failing").pipe("/b/x.png", png())
    [item] = items(listed("failing://b/x.png", Transport({}, RetryPolicy(sleep=waits.append), ANYWHERE)))
    Failing.failures[:] = [problem, problem]
    assert item.read() == png() and waits == [0.5, 2.0]


@pytest.mark.parametrize(
    ("problem", "why", "tries"),
    [
        (TimeoutError("slow"), "cannot be read (slow) (3 tries)", 3),
        (PermissionError("key geheim refused"), "access refused (key *** refused); see --storage", 1),
        (OSError("https://u:p@h/x?X-Amz-Signature=geheim failed"), "cannot be read (https://h/x failed) (3 tries)", 3),
    ],
)
def test_a_failure_of_a_bucket_is_reported_without_secrets(
    waits: list[float], problem: Exception, why: str, tries: int
) -> None:
    fsspec.filesystem("failing").pipe("/b/x.png", png())
    [item] = items(
        listed("failing://b/x.png", Transport({"secret": "geheim"}, RetryPolicy(sleep=waits.append), ANYWHERE))
    )
    Failing.failures[:] = [problem] * tries
    assert (reason(item), len(Failing.failures)) == (why, 0)


def test_a_file_that_is_gone_by_the_time_it_is_read_is_a_failure(bucket: str, far: Transport) -> None:
    [item] = items(listed(put(f"{bucket}/x.png", png()), far))
    fsspec.filesystem("memory").rm(f"{bucket}/x.png")
    assert "not found" in reason(item)


@pytest.mark.parametrize(
    ("info", "known"),
    [
        ({"size": 3, "ETag": '"a"'}, True),
        ({"size": 3, "generation": 7}, True),
        ({"size": 3, "mtime": 1_000_000_000.0}, True),
        ({"size": 3, "LastModified": "2020-01-01T00:00:00Z"}, True),
        ({"size": 3, "updated": "a while ago"}, False),
        ({"size": 3}, False),
    ],
)
def test_a_stamp_needs_more_than_a_size(info: dict[str, object], known: bool) -> None:
    assert bool(stamp_file_info(info)) is known
    assert not known or stamp_file_info(info) != stamp_file_info(info | {"size": 4})


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("anon", "true", True),
        ("port", "22", 22),
        ("secret", "12345", "12345"),
        ("client_kwargs", '{"region_name": "eu"}', {"region_name": "eu"}),
        ("endpoint_url", "http://localhost:9000", "http://localhost:9000"),
        ("x", "{broken", "{broken"),
    ],
)
def test_storage_options_mean_what_file_systems_want(name: str, value: str, meant: object) -> None:
    assert parse_storage_value(name, value) == meant


def test_seeking_and_reading_of_a_bucket_is_that_of_a_file(bucket: str) -> None:
    data = bytes(range(256)) * 40_000  # 10 MB
    file = StorageTransport({}, RetryPolicy()).open(put(f"{bucket}/x.tar", data))
    spots: list[Callable[[], bytes]] = [lambda: file.read(9), lambda: file.read(9_000_000), file.read]
    assert b"".join(spot() for spot in spots) == data
    assert file.seek(-5, 2) and file.read() == data[-5:]
