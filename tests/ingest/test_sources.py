import os
from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError
from ingest.sources import list_sources
from ingest.sources.folder import Listing, walk
from tests.ingest.fakes import png, write


def keys(*sources: Path) -> list[str]:
    return [image.key for image in list_sources(sources).files]


def test_images_of_all_depths_come_sorted_with_forward_slashes(tmp_path: Path) -> None:
    for name in ("b/x.png", "a/deep/er/y.JPG", "z.webp"):
        write(tmp_path / name, png())
    assert keys(tmp_path) == ["a/deep/er/y.JPG", "b/x.png", "z.webp"]


def test_the_label_is_the_name_of_the_folder_the_file_lies_in(tmp_path: Path) -> None:
    write(tmp_path / "photos" / "cats" / "x.png", png())
    write(tmp_path / "photos" / "y.png", png())
    labels = {image.key: image.label for image in list_sources([tmp_path / "photos"]).files}
    assert labels == {"cats/x.png": "cats", "y.png": "photos"}


def test_hidden_files_and_folders_do_not_count(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    write(tmp_path / ".y.png", png())
    write(tmp_path / ".git" / "z.png", png())
    listing = list_sources([tmp_path])
    assert [image.key for image in listing.files] == ["x.png"] and listing.skipped == 0


def test_captions_are_found_and_other_files_counted_as_skipped(tmp_path: Path) -> None:
    for name in ("x.png", "x.txt", "notes.md", "y.png", "loose.txt"):
        write(tmp_path / name, png())
    listing = list_sources([tmp_path])
    captions = {image.key: image.caption_file for image in listing.files}
    assert captions == {"x.png": tmp_path / "x.txt", "y.png": None}
    assert listing.skipped == 1


def test_a_loop_of_links_ends_and_every_image_comes_once(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.png", png())
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to("self")
    (tmp_path / "a" / "self.png").symlink_to("self.png")
    assert keys(tmp_path) == ["a/self.png", "a/x.png"]


def test_a_link_to_nothing_is_listed_so_that_it_is_reported(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert keys(tmp_path) == ["gone.png"]


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    os.mkfifo(tmp_path / "pipe.png")
    listing = list_sources([tmp_path])
    assert [image.key for image in listing.files] == ["x.png"] and listing.skipped == 1


def test_a_name_that_is_not_utf8_is_reported_not_dropped(tmp_path: Path) -> None:
    write(tmp_path / os.fsdecode(b"caf\xe9.png"), png())
    listing = list_sources([tmp_path])
    assert [failure.key for failure in listing.failures] == ["caf\\udce9.png"]


def test_a_folder_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    listing = Listing()
    assert list(walk(tmp_path / "gone", listing)) == []
    assert [failure.reason for failure in listing.failures] == ["folder cannot be read (No such file or directory)"]


def test_a_file_named_by_itself_is_taken_with_its_caption(tmp_path: Path) -> None:
    write(tmp_path / "cats" / "x.png", png())
    write(tmp_path / "cats" / "x.txt", "a cat")
    [image] = list_sources([tmp_path / "cats" / "x.png"]).files
    assert (image.key, image.label, image.caption_file) == ("x.png", "cats", tmp_path / "cats" / "x.txt")


def test_two_files_with_one_key_never_overwrite_each_other(tmp_path: Path) -> None:
    write(tmp_path / "one" / "x.png", png())
    write(tmp_path / "two" / "x.png", png((0, 0, 9)))
    listing = list_sources([tmp_path / "one", tmp_path / "two"])
    assert [image.file for image in listing.files] == [tmp_path / "one" / "x.png"]
    [failure] = listing.failures
    assert failure.key == "x.png" and f"{tmp_path}/two/x.png would overwrite {tmp_path}/one/x.png" in failure.reason


def test_one_folder_named_twice_counts_once(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    listing = list_sources([tmp_path, tmp_path / "."])
    assert len(listing.files) == 1 and not listing.failures


def test_a_folder_without_images_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "notes.md", "hello")
    with pytest.raises(InputError, match=r"no images in this folder; looked for \.avif, .*\.webp"):
        list_sources([tmp_path])


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        list_sources([tmp_path / "nowhere"])
