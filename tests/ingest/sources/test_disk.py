"""Folders, files and patterns on disk."""

import hashlib
import os
import subprocess
import tempfile
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from ingest.sources import open_sources
from ingest.sources.base import PropertyColumn, SourceOptions
from ingest.sources.disk import GlobPattern
from tests.ingest.sources.listed import LONG_AGO, facts, failures, found, items, keys, png, skipped, tar_of, write


def stamps(folder: Path, options: SourceOptions | None = None) -> dict[str, str]:
    return {key: item.stamp for key, item in items(found(folder, options=options)).items()}


def test_images_of_all_depths_come_sorted_by_key_with_forward_slashes(tmp_path: Path) -> None:
    for name in ("b/x.png", "a/deep/er/y.JPG", "z.webp", "a.png", "a-b.png", "a/b.png"):
        write(tmp_path / name, png())
    listed = keys(found(tmp_path))
    assert listed == ["a-b.png", "a.png", "a/b.png", "a/deep/er/y.JPG", "b/x.png", "z.webp"] == sorted(listed)


def test_the_label_is_the_name_of_the_folder_of_the_file(tmp_path: Path) -> None:
    write(tmp_path / "photos" / "cats" / "x.png", png())
    write(tmp_path / "photos" / "y.png", png())
    assert {key: fact.label for key, fact in facts(found(tmp_path / "photos")).items()} == {
        "cats/x.png": "cats",
        "y.png": "photos",
    }


def test_the_source_is_the_absolute_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "photos" / "y.png", png())
    monkeypatch.chdir(tmp_path)
    [source] = open_sources(["photos"], SourceOptions())
    assert source.name == f"{tmp_path}/photos" and [item.source for item in items(source).values()] == [source.name]


def test_nothing_is_opened_to_be_listed(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png()).chmod(0)
    assert keys(found(tmp_path)) == ["x.png"]


def test_a_folder_is_listed_as_it_is_walked(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"{number}" / "x.png", png())
    [source] = open_sources([str(tmp_path)], SourceOptions())
    listing = iter(source)
    assert keys(islice(listing, 2)) == ["0/x.png", "1/x.png"]
    write(tmp_path / "4" / "y.png", png())
    assert keys(listing)[-1] == "4/y.png"


def test_hidden_files_and_folders_count_by_option_only(tmp_path: Path) -> None:
    for name in ("x.png", ".y.png", ".git/z.png"):
        write(tmp_path / name, png())
    assert keys(found(tmp_path)) == ["x.png"] and not skipped(found(tmp_path))
    assert keys(found(tmp_path, options=SourceOptions(hidden=True))) == [".git/z.png", ".y.png", "x.png"]


def test_ignored_files_and_folders_do_not_count(tmp_path: Path) -> None:
    for name in ("x.png", "small_x.png", "thumbs/y.png", "a/thumbs/z.png", "a/small_keep.png", "top/x.png"):
        write(tmp_path / name, png())
    options = SourceOptions(ignore=("small_*", "thumbs/", "!small_keep.png", "/top"))
    assert keys(found(tmp_path, options=options)) == ["a/small_keep.png", "x.png"]
    assert not skipped(found(tmp_path, options=options))


def test_a_pattern_without_meaning_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    with pytest.raises(InputError, match=r"--ignore: .*'!'"):
        found(tmp_path, options=SourceOptions(ignore=("!",)))


def test_captions_and_metadata_of_an_image_are_neither_listed_nor_skipped(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    write(tmp_path / "x.txt", "one\n")
    write(tmp_path / "y.png", png())
    write(tmp_path / "y.png.txt", "two")
    write(tmp_path / "y.txt", "less particular")
    write(tmp_path / "z.png", png())
    write(tmp_path / "z.json", '{"caption": "three", "label": "zed", "stars": 5}')
    for name in ("notes.md", "loose.txt", "loose.json", "a.zip", "a.csv"):
        write(tmp_path / name)
    listed = found(tmp_path, options=SourceOptions(columns=(PropertyColumn("stars", "rating"),)))
    by_key = facts(listed)
    assert {key: fact.caption for key, fact in by_key.items()} == {
        "x.png": "one",
        "y.png": "two",
        "z.png": "three",
    }
    assert by_key["z.png"].label == "zed" and by_key["z.png"].metadata == {"rating": 5}
    assert skipped(listed) == ["a.csv", "a.zip", "loose.json", "loose.txt", "notes.md"]


def test_a_loop_of_links_ends_and_every_image_comes_once(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.png", png())
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to("self")
    (tmp_path / "a" / "self.png").symlink_to("self.png")
    (tmp_path / "again").symlink_to("a")
    listed = found(tmp_path)
    assert keys(listed) == ["a/x.png"] and skipped(listed) == ["a/self"]
    assert failures(listed) == {"a/self.png": "cannot be read (Too many levels of symbolic links)"}


def test_linked_files_and_folders_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "there" / "x.png", png(7))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "y.png").symlink_to(tmp_path / "there" / "x.png")
    (tmp_path / "here" / "linked").symlink_to(tmp_path / "there")
    listed = items(found(tmp_path / "here"))
    assert {key: item.read() for key, item in listed.items()} == {"linked/x.png": png(7), "y.png": png(7)}


def test_a_link_to_nothing_is_a_failure_and_a_pipe_is_never_opened(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    listed = found(tmp_path)
    assert keys(listed) == ["x.png"] and skipped(listed) == ["pipe.png"]
    assert failures(listed) == {"gone.png": "a link to a file that is not there"}


def test_a_name_that_is_not_utf8_is_reported_not_dropped(tmp_path: Path) -> None:
    write(tmp_path / os.fsdecode(b"caf\xe9.png"), png())
    write(tmp_path / os.fsdecode(b"caf\xe9.md"))
    listed = found(tmp_path)
    assert failures(listed) == {"caf\\udce9.png": "the file's name is not UTF-8; rename it"}
    assert skipped(listed) == ["caf\\udce9.md"]


def test_a_folder_that_cannot_be_read_is_a_failure_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.png", png())
    monkeypatch.chdir(tmp_path)
    for _ in range(17):  # longer than a path may be
        os.mkdir("b" * 250)  # noqa: PTH102 - without the whole path
        monkeypatch.chdir("b" * 250)
    listed = found(tmp_path)
    assert keys(listed) == ["a.png"]
    assert list(failures(listed).values()) == ["folder cannot be read (File name too long)"]
    subprocess.run(["rm", "-r", tmp_path / ("b" * 250)], check=True)


def test_folders_nest_deeper_than_pythons_stack(tmp_path: Path) -> None:
    folder = "d/" * 1200
    subprocess.run(["mkdir", "-p", folder], check=True, cwd=tmp_path)
    write(Path(f"{tmp_path}/{folder}/x.png"), png())
    assert keys(found(tmp_path)) == [f"{folder}x.png"]
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


def test_names_may_have_any_letters(tmp_path: Path) -> None:
    names = ["a\nb.png", "a::b.png", "a.pdf#page=3.png", "#x.png", "-.png", "漢字.png", "a\\b.png", "*?[.png"]
    for name in names:
        write(tmp_path / name, name)
    assert {key: item.read().decode() for key, item in items(found(tmp_path)).items()} == {n: n for n in names}


def test_a_stamp_changes_with_the_image_its_annotations_its_label_and_the_options(tmp_path: Path) -> None:
    image, caption = write(tmp_path / "a" / "x.png", png()), tmp_path / "a" / "x.txt"
    seen = [stamps(tmp_path / "a")["x.png"], stamps(tmp_path / "a", SourceOptions(exif=True))["x.png"]]
    seen += [stamps(tmp_path / "a", SourceOptions(columns=(PropertyColumn("a", "b"),)))["x.png"]]
    write(caption, "one")
    seen.append(stamps(tmp_path / "a")["x.png"])
    write(caption, "two", LONG_AGO + 10)
    seen.append(stamps(tmp_path / "a")["x.png"])
    write(tmp_path / "a" / "x.json", "{}")
    seen.append(stamps(tmp_path / "a")["x.png"])
    write(image, png(), LONG_AGO + 10)
    seen.append(stamps(tmp_path / "a")["x.png"])
    (tmp_path / "a").rename(tmp_path / "b")
    seen.append(stamps(tmp_path / "b")["x.png"])
    assert len(set(seen)) == len(seen) and all(seen)
    assert stamps(tmp_path / "b")["x.png"] == seen[-1]


def test_a_file_or_note_written_a_moment_ago_has_no_stamp(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    (tmp_path / "y.png").write_bytes(png())
    (tmp_path / "x.txt").write_text("one")
    assert stamps(tmp_path) == {"x.png": "", "y.png": ""}


def test_a_caption_that_is_no_file_fails_when_the_facts_are_read(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    os.mkfifo(tmp_path / "x.txt")
    [item] = items(found(tmp_path)).values()
    with pytest.raises(Exception, match=r"its caption x\.txt is not a regular file"):
        item.facts(b"")


def test_the_error_of_a_folder_without_images_lists_the_extensions(tmp_path: Path) -> None:
    write(tmp_path / "notes.md", "hello")
    with pytest.raises(InputError, match=r"no images in this folder; looked for \.avif, .*\.pdf"):
        found(tmp_path)


def test_the_error_of_a_folder_with_an_archive_or_only_ignored_files_hints_at_it(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    with pytest.raises(InputError, match=r"excluded were \*\.png \(--ignore\)"):
        found(tmp_path, options=SourceOptions(ignore=("*.png",)))
    write(tmp_path / "x.zip", b"")
    with pytest.raises(InputError, match=r"it holds x\.zip: name that as a SOURCE"):
        found(tmp_path, options=SourceOptions(ignore=("*.png",)))


NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=6)
PATHS = st.lists(st.tuples(st.lists(NAMES, max_size=2), NAMES), min_size=1, max_size=8)


@settings(max_examples=30, deadline=None)
@given(paths=PATHS)
def test_every_image_comes_once_in_the_same_order_with_its_own_bytes(paths: list[tuple[list[str], str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, written = Path(folder), dict[str, str]()
        write(root / "0.png", png())
        for folders, name in paths:
            file = root.joinpath(*(f"f{part}" for part in folders)) / f"i{name}.png"
            key = file.relative_to(root).as_posix()
            written[key] = hashlib.sha256(write(file, key).read_bytes()).hexdigest()
        first, second = found(root), found(root)
        assert keys(first) == keys(second) == sorted({*written, "0.png"}) and not failures(first)
        read = {key: hashlib.sha256(item.read()).hexdigest() for key, item in items(first).items()}
        assert written.items() <= read.items()
        assert {key: item.stamp for key, item in items(first).items()} == {
            key: item.stamp for key, item in items(second).items()
        }


FILES = ("a.jpg", "b.png", "one/c.jpg", "one/deep/er/d.jpg", "two/e.jpg", ".hid/f.jpg", "one/.g.jpg", "notes.md")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in FILES:
        write(tmp_path / "photos" / name, png())
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["a.jpg"]),
        ("**/*.jpg", ["a.jpg", "one/c.jpg", "one/deep/er/d.jpg", "two/e.jpg"]),
        ("*/*.jpg", ["one/c.jpg", "two/e.jpg"]),
        ("one/**/?.jpg", ["one/c.jpg", "one/deep/er/d.jpg"]),
        ("o*/**", ["one/c.jpg", "one/deep/er/d.jpg"]),
        ("**/deep/**/*.jpg", ["one/deep/er/d.jpg"]),
        ("[ab].*", ["a.jpg", "b.png"]),
        ("[!a].*", ["b.png"]),
        (".*/*.jpg", [".hid/f.jpg"]),
        ("**/.*.jpg", ["one/.g.jpg"]),
    ],
)
def test_a_pattern_matches_what_the_shell_would(photos: Path, pattern: str, expected: list[str]) -> None:
    base = "one/" if pattern.startswith("one/") else ""
    assert keys(found(f"{photos}/{pattern}")) == [key.removeprefix(base) for key in expected]


def test_keys_and_source_are_of_the_part_before_the_first_magic_character(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    [source] = open_sources(["photos/on*/c.jpg"], SourceOptions())
    assert source.name == str(photos) and list(items(source)) == ["one/c.jpg"]
    assert [source.name for source in open_sources(["*/*.jpg"], SourceOptions())] == [str(photos.parent)]


def test_captions_count_though_the_pattern_does_not_match_them(photos: Path) -> None:
    write(photos / "a.txt", "an a")
    listed = found(f"{photos}/*.jpg")
    assert facts(listed)["a.jpg"].caption == "an a" and not skipped(listed)


def test_hidden_and_ignored_files_are_as_in_folders(photos: Path) -> None:
    options = SourceOptions(hidden=True, ignore=("two/",))
    assert keys(found(f"{photos}/*/*.jpg", options=options)) == [".hid/f.jpg", "one/.g.jpg", "one/c.jpg"]


def test_links_to_nothing_that_match_are_failures(photos: Path) -> None:
    (photos / "gone.jpg").symlink_to("nowhere")
    assert list(failures(found(f"{photos}/*.jpg"))) == ["gone.jpg"]


def test_a_pattern_without_a_match_is_named(photos: Path) -> None:
    for pattern in ("*.gif", "nowhere/*.jpg", "on?"):
        with pytest.raises(InputError, match="no file matches this pattern") as refused:
            found(f"{photos}/{pattern}")
        assert f"{photos}/{pattern}" in str(refused.value)
    with pytest.raises(InputError, match="no image matches this pattern"):
        found(f"{photos}/*.md")
    with pytest.raises(InputError, match=r"`\.\.` cannot follow"):
        found(f"{photos}/o*/../*.jpg")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    write(tmp_path / "x[1].jpg", png())
    write(tmp_path / "x1.jpg", png())
    assert keys(found(tmp_path / "x[1].jpg")) == ["x[1].jpg"]


def test_a_pattern_of_archives_opens_each(tmp_path: Path) -> None:
    for number in (2, 1):
        tar_of(tmp_path / f"shard-{number}.tar", {"x.png": png()})
    assert keys(found(f"{tmp_path}/shard-*.tar")) == ["shard-1.tar::x.png", "shard-2.tar::x.png"]
    with pytest.raises(InputError, match="no file matches"):
        found(f"{tmp_path}/none-*.tar")


PARTS = st.lists(st.sampled_from(["a", "b", "*", "**", "?", "[ab]"]), min_size=1, max_size=5)
PATH = st.lists(st.sampled_from(["a", "b", "cc"]), min_size=1, max_size=5)


@given(parts=PARTS, path=PATH)
def test_folders_are_left_out_only_where_nothing_below_can_match(parts: list[str], path: list[str]) -> None:
    pattern = GlobPattern(parts, hidden=False)
    prefixes = ["".join(f"{part}/" for part in path[:depth]) for depth in range(len(path))]
    if pattern.choose(prefixes[-1])(path[-1]):
        for depth, prefix in enumerate(prefixes[:-1]):
            assert pattern.choose(prefix)(f"{path[depth]}/")


@given(parts=PARTS, path=PATH)
def test_patterns_match_as_a_plain_definition_does(parts: list[str], path: list[str]) -> None:
    def matched(parts: list[str], path: list[str]) -> bool:
        if not parts:
            return not path
        if parts[0] == "**":
            skip = len(parts) > 1 and matched(parts[1:], path)
            return skip or (bool(path) and (matched(parts, path[1:]) or (len(path) == 1 and len(parts) == 1)))
        letters = {"*": ("a", "b", "cc"), "?": ("a", "b"), "[ab]": ("a", "b")}.get(parts[0], (parts[0],))
        return bool(path) and path[0] in letters and matched(parts[1:], path[1:])

    prefix = "".join(f"{part}/" for part in path[:-1])
    assert GlobPattern(parts, hidden=False).choose(prefix)(path[-1]) == matched(parts, path)
