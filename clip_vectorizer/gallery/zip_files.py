"""Zip files that are sent while they are written, with names that any system can unpack."""

import re
import zipfile
from datetime import UTC, datetime

from clip_vectorizer.gallery.pictures import LONGEST_START, find_media_type
from clip_vectorizer.terminal import CONTROLS

FORBIDDEN = re.compile(r'[<>:"|?*\\]')  # in names of Windows; the control characters are CONTROLS
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # devices of Windows
MAX_NAME_BYTES = 200  # of a part; file systems take 255
MAX_PARTS = 20
SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}


class ZipStream:
    """Returns the bytes of a zip file as members are added. Pictures are stored as they are."""

    def __init__(self) -> None:
        self._sink = ByteSink()
        self._file = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_STORED)
        self._time = datetime.now(UTC).timetuple()[:6]

    def add(self, name: str, data: bytes) -> bytes:
        """`name`: as `ChosenNames` gives it; a picture gets the suffix of its own kind."""
        suffix = SUFFIXES.get(find_media_type(data[:LONGEST_START]) or "", "")
        self._file.writestr(zipfile.ZipInfo(name + suffix, self._time), data)
        return self._sink.take()

    def close(self) -> bytes:
        self._file.close()
        return self._sink.take()


class ByteSink:
    """A file to write to that cannot be rewound: zipfile then puts the sizes behind each member."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


class ChosenNames:
    """Names of members, each once, also where a system ignores case."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def choose(self, path: str) -> str:
        """Return a name for the image at `path`.

        >>> names = ChosenNames()
        >>> [names.choose(path) for path in ("../../etc/passwd", "a/Cat.png", "a/cat.png", "/", "con")]
        ['etc/passwd', 'a/Cat.png', 'a/cat.png (2)', 'image', '_con']
        """
        name = plain = make_safe(path)
        number = 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{plain} ({number})"
        self._taken.add(name.casefold())
        return name


def make_safe(path: str) -> str:
    """Return a relative path without `..`, drives, devices and characters that some system forbids."""
    cleaned = CONTROLS.sub("_", path).replace("\\", "/")
    parts = [clean_part(part) for part in cleaned.split("/") if part.strip(". ")]
    return "/".join(parts[-MAX_PARTS:]) or "image"


def clean_part(part: str) -> str:
    plain = FORBIDDEN.sub("_", part).strip().rstrip(". ")
    plain = plain.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return f"_{plain}" if not plain or RESERVED.fullmatch(plain) else plain
