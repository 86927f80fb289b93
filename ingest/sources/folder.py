"""A folder (or one file) on disk as a list of images, the same list every time."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clip_vectorizer.errors import InputError
from ingest.items import Fate, ImageFile, Outcome

EXTENSIONS = (".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
CAPTION_EXTENSION = ".txt"


@dataclass(slots=True)
class Listing:
    files: list[ImageFile] = field(default_factory=list)
    failures: list[Outcome] = field(default_factory=list)  # folders that cannot be read, names that cannot be stored
    skipped: int = 0


def list_source(source: Path) -> Listing:
    """The images under `source`, sorted by key. Hidden files and folders do not count.

    A file named by itself is taken whatever its extension. Links are followed; every real folder is visited once, so
    a loop ends. Raises InputError when there is no `source`, or no image in it.
    """
    root = Path(os.path.abspath(source))  # noqa: PTH100 - not resolve(): the label is the name the user sees
    if not root.exists():
        raise InputError(f"{source}: no such file or folder")
    if not root.is_dir():
        return Listing([ImageFile(root, root.name, caption_of(root))])
    listing = list_folder(root)
    if not listing.files and not listing.failures:
        raise InputError(f"{source}: no images in this folder; looked for {', '.join(EXTENSIONS)} files")
    return listing


def caption_of(file: Path) -> Path | None:
    caption = file.with_suffix(CAPTION_EXTENSION)
    return caption if caption.is_file() and caption != file else None


def list_folder(root: Path) -> Listing:
    listing = Listing()
    for folder, entries in walk(root, listing):
        captions = {Path(e.name).stem: Path(e.path) for e in entries if extension(e) == CAPTION_EXTENSION}
        for entry in entries:
            if extension(entry) in EXTENSIONS and is_readable_kind(entry):
                key = Path(entry.path).relative_to(root).as_posix()
                add_file(listing, ImageFile(folder / entry.name, key, captions.get(Path(entry.name).stem)))
            elif extension(entry) != CAPTION_EXTENSION:
                listing.skipped += 1
    listing.files.sort(key=lambda image: image.key)
    return listing


def walk(root: Path, listing: Listing) -> Iterator[tuple[Path, list[os.DirEntry[str]]]]:
    """Every folder under `root` with the entries that are not folders; folders that cannot be read go to failures."""
    waiting, visited = [root], set[tuple[int, int]]()
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            with os.scandir(folder) as entries:
                shown = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            key = folder.relative_to(root).as_posix()
            listing.failures.append(Outcome(key, Fate.FAILED, f"folder cannot be read ({error.strerror})"))
            continue
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        waiting += [folder / entry.name for entry in reversed(shown) if is_folder(entry)]
        yield folder, [entry for entry in shown if not is_folder(entry)]


def add_file(listing: Listing, image: ImageFile) -> None:
    try:
        image.key.encode("utf-8")
        listing.files.append(image)
    except UnicodeEncodeError:  # bytes that are no UTF-8 cannot be sent, nor be part of a UUID
        shown = image.key.encode("utf-8", "backslashreplace").decode("utf-8")
        listing.failures.append(Outcome(shown, Fate.FAILED, "the file's name is not UTF-8; rename it"))


def extension(entry: os.DirEntry[str]) -> str:
    return os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - a Path a file is slow for a million files


def is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_readable_kind(entry: os.DirEntry[str]) -> bool:
    """A file, or a link to nothing, which will be reported; not a pipe, which would block for ever."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:
        return True
