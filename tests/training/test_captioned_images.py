import io
import json
import tarfile
from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.training.captioned_images import (
    CaptionColumns,
    CaptionedImage,
    list_captioned_images,
    split_validation,
)

USUAL = CaptionColumns()


def write(file: Path, content: bytes | str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def write_shard(file: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


def pairs(source: Path, columns: CaptionColumns = USUAL) -> dict[str, tuple[str, ...]]:
    return {image.key: image.captions for image in list_captioned_images(source, columns).images}


def test_a_folder_gives_each_image_the_text_beside_it(tmp_path: Path) -> None:
    for name in ("b/dog.png", "a.JPG", "c.webp", ".hidden/x.png"):
        write(tmp_path / name, name)
    write(tmp_path / "b/dog.txt", "a dog\n  in the  snow\n")
    write(tmp_path / "a.JPG.txt", "\ufeffred")
    write(tmp_path / "a.txt", "less specific")
    write(tmp_path / ".hidden/x.txt", "hidden")
    listing = list_captioned_images(tmp_path)
    assert {image.key: image.captions for image in listing.images} == {
        "a.JPG": ("red",),
        "b/dog.png": ("a dog in the snow",),
    }
    assert listing.without_caption == 1
    assert [image.read() for image in listing.images] == [b"a.JPG", b"b/dog.png"]


def test_rows_of_one_image_are_its_captions(tmp_path: Path) -> None:
    table = write(tmp_path / "rows.csv", 'File,caption\na.png,one\nb.png,"two, 2"\na.png,uno\na.png,one\nc.png,\n')
    assert pairs(table) == {"a.png": ("one", "uno"), "b.png": ("two, 2",)}
    assert list_captioned_images(table).images[0].file == tmp_path / "a.png"


def test_json_lines_may_list_captions(tmp_path: Path) -> None:
    rows = [{"image": "a.png", "text": ["one", "uno"]}, {"image": "b.png", "text": "two"}, {"image": "c.png"}]
    table = write(tmp_path / "rows.jsonl", "\n".join(map(json.dumps, rows)))
    assert pairs(table) == {"a.png": ("one", "uno"), "b.png": ("two",)}


def test_columns_can_be_named(tmp_path: Path) -> None:
    table = write(tmp_path / "rows.tsv", "src\tnote\tcaption\na\tone\tx\nb\ttwo\ty\n")
    assert pairs(table, CaptionColumns("src", "note")) == {"a": ("one",), "b": ("two",)}
    with pytest.raises(InputError, match=r"columns are src, note, caption: name one with --path-column"):
        pairs(table)
    with pytest.raises(InputError, match=r"has no column 'words'; .* name one with --caption-column"):
        pairs(table, CaptionColumns("src", "words"))


def test_the_samples_of_shards_are_read_from_their_place(tmp_path: Path) -> None:
    members = {"0/a.png": b"first", "0/a.txt": b"one", "b.seg.jpg": b"second", "b.txt": b"two", "c.png": b"bare"}
    write_shard(tmp_path / "0.tar", members)
    listing = list_captioned_images(tmp_path)
    assert [(image.key, image.captions, image.read()) for image in listing.images] == [
        ("0.tar::0/a.png", ("one",), b"first"),
        ("0.tar::b.seg.jpg", ("two",), b"second"),
    ]
    assert listing.without_caption == 1
    assert list_captioned_images(tmp_path / "0.tar") == listing


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.csv", b"path,caption\n\xff,1\n", "cannot be read as a table in UTF-8"),
        ("x.jsonl", b'{"path": 1, "text": 2}\n[1]\n', "line 2 is not a JSON object"),
        ("x.jsonl", b"{path}\n", "line 1 is not JSON"),
        ("x.tar", b"no archive", "is not a plain tar file .* unpack a compressed one"),
        ("x.zip", b"PK", "none of the sources that training reads"),
        ("x.csv", b"path,caption\na.png,one\n", "1 image with a caption; contrastive training needs at least 2"),
        ("x.csv", b"path,caption\na.png,\nb.png,\n", "0 images with a caption, and 2 without a caption"),
    ],
)
def test_a_source_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        list_captioned_images(write(tmp_path / name, content))


def test_a_compressed_shard_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unpack a compressed one"):
        list_captioned_images(write_shard(tmp_path / "x.tar", {"a.png": b"1", "a.txt": b"2"}, "w:gz"))


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        list_captioned_images(tmp_path / "nothing")


def test_a_caption_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.png", "")
    write(tmp_path / "a.txt", b"\xe9")
    with pytest.raises(InputError, match=r"a\.txt is not UTF-8 text .* save it as UTF-8"):
        list_captioned_images(tmp_path)


def test_the_images_held_out_follow_from_the_seed() -> None:
    images = [CaptionedImage(str(number), ("x",), Path("x")) for number in range(50)]
    learned, held_out = split_validation(images, 0.1, seed=1)
    assert (len(learned), len(held_out)) == (45, 5)
    assert sorted((*learned, *held_out), key=images.index) == images
    assert split_validation(images, 0.1, seed=1) == (learned, held_out)
    assert split_validation(images, 0.1, seed=2) != (learned, held_out)
    assert split_validation(images, 0, seed=1) == (images, [])


def test_too_few_images_to_hold_any_out_are_refused() -> None:
    images = [CaptionedImage(str(number), ("x",), Path("x")) for number in range(3)]
    with pytest.raises(InputError, match=r"too few to hold out 2 .* --validation-share 0"):
        split_validation(images, 0.1, seed=1)
