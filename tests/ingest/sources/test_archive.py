import gc
import hashlib
import io
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.items import Facts, UnusableFile
from ingest.sources import open_sources
from ingest.sources.archive import open_archive
from ingest.sources.base import PropertyColumn, SkippedFile, SourceOptions, SourceResult
from ingest.sources.reading import open_regular
from ingest.sources.tars import EXTENSION_HEADER_TYPES
from tests.ingest.sources.listed import (
    add,
    facts,
    failures,
    found,
    items,
    keys,
    png,
    skipped,
    tar_of,
    tar_with,
    write,
    zip_of,
)

Make = Callable[[Path, dict[str, str | bytes]], Path]


def plain(folder: Path, members: dict[str, str | bytes]) -> Path:
    return tar_of(folder / "a.tar", members)


def gz(folder: Path, members: dict[str, str | bytes]) -> Path:
    return tar_of(folder / "a.tar.gz", members, "w:gz")


def bz2(folder: Path, members: dict[str, str | bytes]) -> Path:
    return tar_of(folder / "a.tar.bz2", members, "w:bz2")


def xz(folder: Path, members: dict[str, str | bytes]) -> Path:
    return tar_of(folder / "a.tar.xz", members, "w:xz")


def zipped(folder: Path, members: dict[str, str | bytes]) -> Path:
    return zip_of(folder / "a.zip", members)


every_kind = pytest.mark.parametrize("make", [plain, gz, bz2, xz, zipped])


@every_kind
def test_members_have_keys_labels_bytes_and_the_archive_as_source(tmp_path: Path, make: Make) -> None:
    file = make(tmp_path, {"./top.png": png(1), "a/cats/x.png": png(2), "a/b.pdf.txt": "", "notes.md": ""})
    listed = found(file)
    base = f"{file.name}::"
    assert {key: item.read() for key, item in items(listed).items()} == {
        f"{base}top.png": png(1),
        f"{base}a/cats/x.png": png(2),
    }
    assert {key: fact.label for key, fact in facts(listed).items()} == {
        f"{base}top.png": "a",
        f"{base}a/cats/x.png": "cats",
    }
    assert {item.source for item in items(listed).values()} == {str(file)}
    assert sorted(skipped(listed)) == [f"{base}a/b.pdf.txt", f"{base}notes.md"] and not failures(listed)


@every_kind
def test_samples_of_webdataset_belong_together(tmp_path: Path, make: Make) -> None:
    members: dict[str, str | bytes] = {
        "0001.jpg": png(1),
        "0001.txt": "one",
        "0001.json": '{"stars": 5}',
        "0001.cls": "7",
        "0002.cls": "8",
        "0002.left.png": png(2),
        "0002.right.png": png(3),
        "0002.json": '{"caption": "both"}',
        "cats/0003.png": png(4),
        "cats/0003.cls": "9",
        "0004.png": png(5),
    }
    listed = found(make(tmp_path, members), options=SourceOptions(columns=(PropertyColumn("stars", "rating"),)))
    facts_by_key = {key.partition("::")[2]: fact for key, fact in facts(listed).items()}
    assert facts_by_key == {
        "0001.jpg": Facts("7", "one", {"rating": 5}),
        "0002.left.png": Facts("8", "both"),
        "0002.right.png": Facts("8", "both"),
        "cats/0003.png": Facts("cats"),
        "0004.png": Facts("a"),
    }
    assert not skipped(listed) and not failures(listed)


def texts(listed: list[SourceResult]) -> dict[str, str]:
    return {key.partition("::")[2]: fact.caption for key, fact in facts(listed).items()}


def dropped(listed: list[SourceResult]) -> dict[str, str]:
    return {
        each.key.partition("::")[2]: each.reason for each in listed if isinstance(each, SkippedFile) and each.reason
    }


@every_kind
def test_a_text_of_a_sample_belongs_to_its_images_under_any_name(tmp_path: Path, make: Make) -> None:
    members: dict[str, str | bytes] = {
        "./sample0.input.png": png(1),
        "./sample0.outputs.txt": "a cat",
        "sample1.outputs.txt": "a wolf",
        "sample1.INPUT.PNG": png(2),
        "deep/s.left.png": png(3),
        "deep/s.right.png": png(4),
        "deep/s.pair.json": '{"caption": "two of a kind"}',
        "deep/s.kind.cls": "pair",
        "other/s.png": png(5),
    }
    listed = found(make(tmp_path, members))
    assert texts(listed) == {
        "sample0.input.png": "a cat",
        "sample1.INPUT.PNG": "a wolf",
        "deep/s.left.png": "two of a kind",
        "deep/s.right.png": "two of a kind",
        "other/s.png": "",
    }
    assert not skipped(listed) and not failures(listed)


@every_kind
def test_the_text_of_one_image_of_a_sample_is_not_that_of_another(tmp_path: Path, make: Make) -> None:
    members: dict[str, str | bytes] = {
        "0.right.png": png(1),
        "0.left.png": png(2),
        "0.left.txt": "left",
        "1.png": png(3),
        "1.jpg": png(4),
        "1.png.txt": "the png",
    }
    listed = found(make(tmp_path, members))
    assert texts(listed) == {"0.right.png": "", "0.left.png": "left", "1.png": "the png", "1.jpg": ""}
    assert not skipped(listed)


@every_kind
def test_a_text_that_no_image_uses_is_named_with_the_reason(tmp_path: Path, make: Make) -> None:
    members: dict[str, str | bytes] = {
        "a.png": png(1),
        "a.txt": "first",
        "a.more.txt": "second",
        "b.png": png(2),
        "b.short.txt": "short",
        "b.long.txt": "long",
        "c.txt": "of nothing",
    }
    listed = found(make(tmp_path, members))
    assert texts(listed) == {"a.png": "first", "b.png": "short"}
    assert dropped(listed) == {
        "a.more.txt": "its sample has another .txt file",
        "b.long.txt": "its sample has another .txt file",
        "c.txt": "belongs to no image",
    }


def test_an_archive_of_macos_has_its_images_once_and_no_captions_of_forks(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {
        "Album/": "",
        "Album/IMG_1.JPG": png(1),
        "Album/IMG_1.txt": "a wolf",
        "Album/.DS_Store": "x",
        "__MACOSX/Album/._IMG_1.JPG": b"\0\5\x16\7",
        "__MACOSX/Album/._IMG_1.txt": b"\0\5\x16\7",
        "__MACOSX/IMG_2.JPG": b"\0\5\x16\7",
    }
    for options in (SourceOptions(), SourceOptions(hidden=True)):
        listed = found(zipped(tmp_path, members), options=options)
        assert texts(listed) == {"Album/IMG_1.JPG": "a wolf"} and not failures(listed) and not dropped(listed)


@every_kind
def test_annotations_may_be_anywhere_in_the_archive(tmp_path: Path, make: Make) -> None:
    members: dict[str, str | bytes] = {"a.txt": "1", "b.png": png(), "c.txt": "", "a.png": png(), "b.cls": "2"}
    file = make(tmp_path, members)
    listed = found(file)
    assert list(facts(listed).values()) == [Facts("2"), Facts("a", "1")] and not failures(listed)
    assert skipped(listed) == [f"{file.name}::c.txt"]


@settings(max_examples=20, deadline=None)
@given(
    names=st.permutations(["x.png", "x.txt", "x.cls", "y.left.png", "y.json", "z/y.png", "z/y.TXT", "loose.txt", ".h"])
    | st.permutations(["a.x.png", "a.y.png", "a.x.txt", "a.z.txt", "a.z.json", "a.cls", "loose.txt"])
)
def test_a_compressed_archive_lists_the_same_as_the_plain_one(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        members: dict[str, str | bytes] = {name: f'{{"caption": "{name}"}}' for name in names}
        one, other = found(plain(Path(folder), members)), found(gz(Path(folder), members))
        assert list(facts(one).values()) == list(facts(other).values())
        assert len(skipped(one)) == len(skipped(other)) == 1 and not failures(one) and not failures(other)


@every_kind
def test_notes_that_are_too_long_are_failures_of_their_images(tmp_path: Path, make: Make) -> None:
    listed = items(found(make(tmp_path, {"x.txt": "x" * 100_001, "x.png": png(), "y.txt": "", "y.png": png()})))
    first, second = listed.values()
    assert second.facts(b"").caption == ""
    with pytest.raises(UnusableFile, match=r"its caption x\.txt is longer than 100000 bytes"):
        first.facts(b"")


def test_only_streams_hold_bytes(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {"x.png": png(), "x.txt": "four"}
    assert [item.held_bytes for item in items(found(plain(tmp_path, members))).values()] == [0]
    assert [item.held_bytes for item in items(found(gz(tmp_path, members))).values()] == [len(png()) + 4]


@every_kind
def test_names_of_all_kinds_stay_apart(tmp_path: Path, make: Make) -> None:
    names = [
        "/abs/x.png",
        "../x.png",
        "a/../../y.png",
        "x::y.png",
        "n\nl.png",
        "a.pdf#page=3.png",
        "漢/字.png",
        "é.png",
    ]
    listed = found(make(tmp_path, {name: name for name in names}))
    expected = ["/abs/x.png", "../x.png", "../y.png", *names[3:]]
    assert [key.partition("::")[2] for key in keys(listed)] == expected
    assert [item.read().decode() for item in items(listed).values()] == names
    assert [fact.label for fact in facts(listed).values()][:3] == ["abs", "a", "a"]


@every_kind
def test_names_that_lead_out_of_an_archive_write_and_read_no_file(tmp_path: Path, make: Make) -> None:
    secret = write(tmp_path / "secret.png", png(9))
    names = [f"{'../' * 30}{tmp_path}/new.png", f"{tmp_path}/new.png", str(secret), "up\\..\\new.png", "C:\\new.png"]
    (folder := tmp_path / "inside").mkdir()
    listed = items(found(make(folder, {name: png(shade) for shade, name in enumerate(names)})))
    assert [item.read() for item in listed.values()] == [png(shade) for shade in range(len(names))]
    assert secret.read_bytes() == png(9) and len([file for file in tmp_path.rglob("*") if file.is_file()]) == 2


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_names_that_are_not_utf8(tmp_path: Path, mode: str, form: int) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        tar.format = form
        add(tar, "long/" * 60 + "x.png", png(1))
        add(tar, "caf\udce9.png", png(2))
        add(tar, "y.png", png(3))

    listed = found(tar_with(tmp_path / "a.tar", fill, mode))
    assert keys(listed) == ["a.tar::" + "long/" * 60 + "x.png", "a.tar::y.png"]
    assert failures(listed) == {"a.tar::caf\\udce9.png": "the member's name is not UTF-8; rename it"}
    assert [item.read() for item in items(listed).values()] == [png(1), png(3)]


def test_links_devices_and_folders_in_a_plain_tar_file(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        add(tar, "a", type=tarfile.DIRTYPE)
        add(tar, "a/x.png", png(1))
        add(tar, "hard.png", type=tarfile.LNKTYPE, linkname="a/x.png")
        add(tar, "b/soft.png", type=tarfile.SYMTYPE, linkname="../hard.png")
        add(tar, "b/up", type=tarfile.SYMTYPE, linkname="..")
        add(tar, "gone.png", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(tar, "loop.png", type=tarfile.SYMTYPE, linkname="loop.png")
        add(tar, "pipe.png", type=tarfile.FIFOTYPE)
        add(tar, "device.png", type=tarfile.CHRTYPE)

    listed = found(tar_with(tmp_path / "a.tar", fill))
    assert {key: item.read() for key, item in items(listed).items()} == {
        "a.tar::a/x.png": png(1),
        "a.tar::hard.png": png(1),
        "a.tar::b/soft.png": png(1),
    }
    assert failures(listed) == dict.fromkeys(
        ("a.tar::gone.png", "a.tar::loop.png"), "a link to a file that is not in the archive"
    )
    assert skipped(listed) == ["a.tar::b/up", "a.tar::pipe.png", "a.tar::device.png"]
    listed = found(tar_with(tmp_path / "a.tgz", fill, "w:gz"))
    assert keys(listed) == ["a.tgz::a/x.png"]
    assert set(failures(listed)) == {f"a.tgz::{name}.png" for name in ("hard", "b/soft", "gone", "loop")}


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_sparse_members_are_filled_up(tmp_path: Path, mode: str, version: str) -> None:
    pieces, data = [(100, 5), (600, 7), (1000, 0)], b"first" + b"seconds"
    whole = bytes(100) + b"first" + bytes(495) + b"seconds" + bytes(393)
    fields = {"GNU.sparse.name": "x.png", "GNU.sparse.realsize": "1000"}
    if version == "1.0":
        listing = "\n".join(["3", *(f"{at}\n{count}" for at, count in pieces), ""]).encode()
        data = listing.ljust(512, b"\0") + data
        fields |= {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    else:
        fields |= {"GNU.sparse.size": "1000", "GNU.sparse.map": ",".join(f"{at},{count}" for at, count in pieces)}

    def fill(tar: tarfile.TarFile) -> None:
        add(tar, "sparse/x.png", data, pax_headers=fields)
        add(tar, "y.png", png(3))

    listed = found(tar_with(tmp_path / "a.tar", fill, mode))
    assert {key: item.read() for key, item in items(listed).items()} == {"a.tar::x.png": whole, "a.tar::y.png": png(3)}


@every_kind
def test_of_two_members_with_one_name_the_second_is_a_failure(tmp_path: Path, make: Make) -> None:
    if make is zipped:
        with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for shade in (1, 2):
                archive.writestr("x.png", png(shade))
        file = tmp_path / "a.zip"
    else:
        file = make(tmp_path, {"x.png": png(1), "./x.png": png(2)})
    listed = found(file)
    assert [item.read() for item in items(listed).values()] == [png(1)]
    assert list(failures(listed)) == [f"{file.name}::x.png"] and len(listed) == 2


@every_kind
def test_hidden_and_ignored_members_do_not_count(tmp_path: Path, make: Make) -> None:
    file = make(tmp_path, {"x.png": "", "__MACOSX/._x.png": "", ".git/y.png": "", "thumbs/z.png": "", "./w.png": ""})
    listed = found(file, options=SourceOptions(ignore=("thumbs/",)))
    assert [key.partition("::")[2] for key in keys(listed)] == ["x.png", "w.png"] and not skipped(listed)
    with_hidden = [key.partition("::")[2] for key in keys(found(file, options=SourceOptions(hidden=True)))]
    assert with_hidden == ["x.png", ".git/y.png", "thumbs/z.png", "w.png"]  # macOS writes no images into __MACOSX


@every_kind
def test_an_archive_without_images_is_a_failure(tmp_path: Path, make: Make) -> None:
    file = make(tmp_path, {"notes.md": "hello"})
    listed = found(file)
    assert "no images in this archive" in failures(listed)[f"{file.name}::"]
    assert skipped(listed) == [f"{file.name}::notes.md"]


@pytest.mark.parametrize("name", ["a.tar", "a.tgz", "a.zip"])
@pytest.mark.parametrize("content", [b"", b"no archive" * 200, b"\x1f\x8bbroken", b"BZhbroken", b"PK\3\4broken"])
def test_what_is_no_archive_is_one_failure(tmp_path: Path, name: str, content: bytes) -> None:
    listed = found(write(tmp_path / name, content))
    assert list(failures(listed)) == [f"{name}::"] and len(listed) == 1


def test_a_zstandard_archive_is_a_failure_that_names_the_compression(tmp_path: Path) -> None:
    assert "zstd" in failures(found(write(tmp_path / "a.tar", b"\x28\xb5\x2f\xfd" + bytes(90))))["a.tar::"]


def shards() -> dict[str, bytes]:
    members: dict[str, str | bytes] = {f"{n}/x.png": bytes([n]) * 700 for n in range(6)} | {"0/x.txt": "hello"}
    with tempfile.TemporaryDirectory() as folder:
        files = [make(Path(folder), members) for make in (plain, gz, bz2, xz, zipped)]
        return {file.name: file.read_bytes() for file in files}


SHARDS = shards()
EXPECTED = {f"{n}/x.png": bytes([n]) * 700 for n in range(6)}


def end_of_content(name: str) -> int:
    """Behind it only padding comes, which may be missing."""
    return 7 * (512 + 1024) if name == "a.tar" else len(SHARDS[name])


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(sorted(SHARDS)), share=st.floats(0, 1, exclude_max=True))
def test_of_an_archive_cut_off_anywhere_the_start_is_read_and_the_rest_one_failure(name: str, share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cut = int(share * (end_of_content(name) - 1))
        listed = found(write(Path(folder) / name, SHARDS[name][:cut]))
        assert list(failures(listed)) == [f"{name}::"]
        for key, item in items(listed).items():
            assert item.read() == EXPECTED[key.partition("::")[2]]


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(sorted(SHARDS)), share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_raises_while_listing(name: str, share: float, bit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = bytearray(SHARDS[name])
        data[int(share * len(data))] ^= 1 << bit
        listed = found(write(Path(folder) / name, bytes(data)))
        assert {key for key, reason in failures(listed).items() if not reason} == set()
        contents = {}
        for key, item in items(listed).items():
            with suppress(UnusableFile):
                contents[key.partition("::")[2]] = item.read()
        if name.endswith(".zip"):  # which has a checksum for each member
            assert set(contents.values()) <= set(EXPECTED.values())
        elif name == "a.tar":  # a bit of a plain archive belongs to one member
            assert len(set(contents.values()) - set(EXPECTED.values())) <= 1


def test_a_broken_header_in_the_middle_does_not_end_in_silence(tmp_path: Path) -> None:
    data = bytearray(SHARDS["a.tar"])
    data[3 * 1536 + 20] ^= 1
    listed = found(write(tmp_path / "a.tar", bytes(data)))
    assert len(keys(listed)) == 3 and "bad checksum" in failures(listed)["a.tar::"]


def header(name: str, kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", EXTENSION_HEADER_TYPES)
def test_headers_that_would_fill_the_memory_are_refused(tmp_path: Path, kind: bytes) -> None:
    file = write(tmp_path / "a.tar", header("x", kind, 2_000_000) + bytes(2_001_000))
    assert "a header announces 2000000 bytes" in failures(found(file))["a.tar::"]


def test_headers_that_point_backwards_end_the_archive(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        add(tar, "x.png", png(1))
        add(tar, "y.png", b"", pax_headers={"size": "-5000"})

    listed = found(tar_with(tmp_path / "a.tar", fill))
    assert keys(listed) == ["a.tar::x.png"] and "points backwards" in failures(listed)["a.tar::"]


def test_members_that_are_too_large_are_refused_unread(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz", compresslevel=1) as tar:
        info = tarfile.TarInfo("bomb.png")
        info.size = 71_000_000
        with tempfile.TemporaryFile() as zeros:
            zeros.truncate(info.size)
            tar.addfile(info, zeros)
        add(tar, "x.png", png())
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("bomb.png", bytes(71_000_000))
    listed = found(tmp_path / "a.tar")
    assert keys(listed) == ["a.tar::x.png"] and "71 MB" in failures(listed)["a.tar::bomb.png"]
    [bomb] = items(found(tmp_path / "a.zip")).values()
    with pytest.raises(UnusableFile, match="71 MB"):
        bomb.read()


def test_a_zip_member_with_a_false_size_is_refused(tmp_path: Path) -> None:
    data = bytearray(zip_of(tmp_path / "a.zip", {"x.png": bytes(5000)}).read_bytes())
    for at in (22, data.index(b"PK\1\2") + 24):
        data[at : at + 4] = struct.pack("<I", 10)
    [item] = items(found(write(tmp_path / "a.zip", bytes(data)))).values()
    with pytest.raises(UnusableFile, match=r"cannot be unpacked \(Bad CRC-32"):
        item.read()


def test_encrypted_zip_members_are_failures_each(tmp_path: Path) -> None:
    data = bytearray(zip_of(tmp_path / "a.zip", {"x.png": png(), "y.png": png(), "z.md": ""}).read_bytes())
    at = data.index(b"PK\1\2")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\1\2", at + 1)
    listed = found(write(tmp_path / "a.zip", bytes(data)))
    assert set(failures(listed)) == {"a.zip::x.png", "a.zip::y.png"} and skipped(listed) == ["a.zip::z.md"]
    assert "encrypted" in failures(listed)["a.zip::x.png"]


def test_zip_names_are_read_in_the_encoding_they_are_in(tmp_path: Path) -> None:
    class Mute(zipfile.ZipInfo):
        """Without the flag for UTF-8 names, as macOS writes."""

        def _encodeFilenameFlags(self) -> tuple[bytes, int]:
            return self.comment, self.flag_bits

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("漢.png", png(1))
        for raw in ("é.png".encode(), "ü.png".encode("cp437")):
            info = Mute(f"{len(raw)}.png")
            info.comment = raw
            archive.writestr(info, png(2))
    assert keys(found(tmp_path / "a.zip")) == ["a.zip::漢.png", "a.zip::é.png", "a.zip::ü.png"]


def test_many_threads_read_one_archive(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {f"{n:03}/x.png": bytes([n % 251]) * (500 + n) for n in range(300)}
    for make in (plain, gz, zipped):
        listed = items(found(make(tmp_path, members)))
        with ThreadPoolExecutor(8) as threads:
            read = list(threads.map(lambda item: item.read(), listed.values()))
        assert read == list(members.values())


def test_a_tar_file_of_three_thousand_members_is_listed_and_read_anywhere(tmp_path: Path) -> None:
    listed = found(plain(tmp_path, {f"{n:04}.png": f"{n}" for n in range(3000)}))
    assert keys(listed) == [f"a.tar::{n:04}.png" for n in range(3000)]
    assert items(listed)["a.tar::2999.png"].read() == b"2999"


def test_open_files_are_closed_when_the_last_member_has_gone(tmp_path: Path) -> None:
    for make in (plain, gz, zipped):
        file = make(tmp_path, {"x.png": png(1), "y.png": png(2)})
        opened: list[io.BufferedReader] = []

        def remembered(file: Path = file, opened: list[io.BufferedReader] = opened) -> io.BufferedReader:
            opened.append(file.open("rb"))
            return opened[-1]

        listed = list(open_archive(str(file), remembered, "stamp", SourceOptions()))  # type: ignore[arg-type]
        assert [item.read() for item in items(listed).values()] == [png(1), png(2)]
        listed.clear()
        gc.collect()
        assert opened and all(each.closed for each in opened) and len(opened) <= 3


def test_stamps_change_with_the_archive_and_the_options(tmp_path: Path) -> None:
    def stamps(options: SourceOptions | None = None) -> list[str]:
        return [item.stamp for item in items(found(tmp_path / "a.tar", options=options)).values()]

    plain(tmp_path, {"x.png": png(1), "y.png": png(1)})
    first = stamps()
    assert len(set(first)) == 2 and all(first) and stamps() == first
    assert not set(stamps(SourceOptions(exif=True))) & set(first)
    plain(tmp_path, {"x.png": png(1), "y.png": png(2), "z.png": png(3) * 100})
    assert not set(stamps()) & set(first)
    (tmp_path / "a.tar").touch()
    assert set(stamps()) == {""}


def test_a_stamp_that_is_a_function_is_called_each_time(tmp_path: Path) -> None:
    file, stamps = gz(tmp_path, {"x.png": png()}), iter(["one", "one", "two"])
    source = open_archive(str(file), partial(open_regular, file), lambda: next(stamps), SourceOptions())
    first, again, changed = ([item.stamp for item in items(source).values()] for _ in range(3))
    assert first == again != changed


def test_a_source_notices_that_its_archive_has_changed(tmp_path: Path) -> None:
    [source] = open_sources([str(plain(tmp_path, {"x.png": png(1)}))], SourceOptions())
    [before] = items(source).values()
    plain(tmp_path, {"x.png": png(2), "y.png": png(3) * 100})
    after = items(source)["a.tar::x.png"]
    assert before.stamp != after.stamp and after.read() == png(2)


def test_pdf_files_archives_and_tables_inside(tmp_path: Path) -> None:
    listed = found(plain(tmp_path, {"x.png": "", "b.zip": "", "c.csv": ""}))
    assert skipped(listed) == ["a.tar::b.zip", "a.tar::c.csv"]


PARTS = st.text(st.sampled_from("abé.:#\n "), min_size=1, max_size=4).filter(lambda part: part.strip("."))
MEMBERS = st.dictionaries(
    st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: "/".join(f"d{part}" for part in parts) + ".png"),
    st.binary(min_size=1, max_size=1200),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(members=MEMBERS, make=st.sampled_from([plain, gz, zipped]))
def test_every_member_comes_once_in_order_with_its_own_bytes(members: dict[str, bytes], make: Make) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = make(Path(folder), dict(members))
        first, second = found(file), found(file)
        assert keys(first) == keys(second) == [f"{file.name}::{name}" for name in members]
        assert not failures(first) and not skipped(first)
        sums = [hashlib.sha256(item.read()).digest() for item in items(first).values()]
        assert sums == [hashlib.sha256(data).digest() for data in members.values()]
