"""File names of images. Imports nothing outside the standard library, so that help texts and listings stay fast."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

# Extensions, in lower case, of the image formats that every install of the sidecar decodes.
IMAGE_SUFFIXES = (".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def is_image_file(file: Path) -> bool:
    """Whether the name has the extension of an image, in any case.

    >>> is_image_file(Path("cats/Tom.JPG")), is_image_file(Path("cats/readme.md"))
    (True, False)
    """
    return file.suffix.lower() in IMAGE_SUFFIXES


def format_skipped(files: Iterable[Path]) -> str:
    """Return the number of `files` and their extensions, the most frequent first; "" if there are none.

    >>> format_skipped([Path("a.heic"), Path("b.HEIC"), Path("c.md"), Path("LICENSE")])
    '4 other files skipped (.heic 2, .md 1, no extension 1)'
    """
    counts = Counter(file.suffix.lower() or "no extension" for file in files)
    if not counts:
        return ""
    noun = "file" if counts.total() == 1 else "files"
    kinds = ", ".join(f"{suffix} {count}" for suffix, count in counts.most_common())
    return f"{counts.total()} other {noun} skipped ({kinds})"
