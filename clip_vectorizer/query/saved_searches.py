"""Searches that were saved by name: a JSON file of `clip-gallery`, which `clip-search --saved` reads too.

Several processes may change it at once: each reads, changes and replaces it while it holds a lock. A file that cannot
be read is never replaced.

D dimensions
"""

import base64
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from clip_vectorizer.database.schema import ModelIdentity, StoredModel
from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.vectors import Vectors

FILE_NAME = "searches.json"
VERSION = 1
MAX_NAME_LENGTH = 100
MAX_SEARCHES = 500
MAX_FILE_BYTES = 64_000_000
LOCK_SECONDS = 5.0
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class SavedPicture:
    """A picture that was sent to the page: all that a search for it needs."""

    key: str  # sha256:HEX of its file
    name: str  # of its file, for people
    thumbnail: bytes  # a JPEG file
    vector: Vectors  # (D,) float32
    model: StoredModel  # that made the vector


@dataclass(frozen=True, slots=True, eq=False)
class SavedSearch:
    """A name, and the address of a page."""

    name: str
    address: str  # the parameters of the page, with collection and tenant
    pictures: tuple[SavedPicture, ...] = ()  # those that the address names


def build_picture_mismatch(name: str, model: StoredModel, info: ModelIdentity) -> str:
    """Return the sentence for a picture whose vector must not be compared with those of the model `info`."""
    return (
        f"the picture {name} has a vector of the model {model}, but the sidecar runs {StoredModel.of(info)}; send the "
        "picture to the page again"
    )


def find_searches_file(env: Mapping[str, str]) -> Path:
    """Return the file of this user: below $XDG_DATA_HOME, else below ~/.local/share."""
    root = env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(root) / "clip-vectorizer" / FILE_NAME


class SavedSearches:
    """The searches of one file, in the order in which they were saved."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._read: tuple[tuple[int, int, int], tuple[SavedSearch, ...]] | None = None  # a file's mark, what was in it

    def read_all(self) -> tuple[SavedSearch, ...]:
        """Return all; none where there is no file. Raises InputError for a file that cannot be read."""
        try:
            found = self.file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise self._complain(error.strerror or str(error)) from error
        mark = found.st_mtime_ns, found.st_size, found.st_ino
        if self._read is None or self._read[0] != mark:
            self._read = mark, self._parse(found.st_size)
        return self._read[1]

    def find(self, name: str) -> SavedSearch:
        """Raises InputError where no search has this name."""
        every = self.read_all()
        for each in every:
            if each.name == name:
                return each
        names = [each.name for each in every]
        listed = f"there are {', '.join(names)}" if names else "save one in the page of clip-gallery"
        raise InputError(f"no search is saved as {name!r} in {self.file}; {did_you_mean(name, names)}{listed}")

    def find_picture(self, key: str) -> SavedPicture | None:
        """Return the picture of any search; None where none has it, and where the file cannot be read."""
        with suppress(InputError):
            return next((each for search in self.read_all() for each in search.pictures if each.key == key), None)
        return None

    def add(self, search: SavedSearch) -> None:
        """Raises InputError for a name that is taken or cannot be one, and for a file that cannot be changed."""
        check_name(search.name)
        with self._change() as every:
            self._check_free(search.name, every)
            if len(every) >= MAX_SEARCHES:
                raise InputError(f"{MAX_SEARCHES} searches are saved already; remove some first")
            every.append(search)

    def rename(self, name: str, new_name: str) -> None:
        """Raises InputError as `add`, and where no search has this name."""
        check_name(new_name)
        with self._change() as every:
            place = self._find_place(name, every)
            if new_name != name:
                self._check_free(new_name, every)
            every[place] = replace(every[place], name=new_name)

    def remove(self, name: str) -> None:
        """Raises InputError where no search has this name, and for a file that cannot be changed."""
        with self._change() as every:
            del every[self._find_place(name, every)]

    def _check_free(self, name: str, every: Sequence[SavedSearch]) -> None:
        if any(each.name == name for each in every):
            raise InputError(f"a search is saved as {name!r} already; choose another name, or remove that one first")

    def _find_place(self, name: str, every: Sequence[SavedSearch]) -> int:
        for place, each in enumerate(every):
            if each.name == name:
                return place
        raise InputError(f"no search is saved as {name!r} any more; load the page again")

    @contextmanager
    def _change(self) -> Iterator[list[SavedSearch]]:
        """Context manager: the searches, to be changed in place, and written at its end unless it raises."""
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with hold_file_lock(self.file.with_name(f"{self.file.name}.lock")):
                self._read = None
                every = list(self.read_all())
                yield every
                self._write(every)
        except OSError as error:
            raise InputError(
                f"{self.file} cannot be written ({error.strerror or error}); name another file (--searches FILE)"
            ) from error

    def _write(self, every: Sequence[SavedSearch]) -> None:
        target = self.file.resolve()  # it may be a link
        draft = target.with_name(f"{target.name}.{os.getpid()}.new")
        draft.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
                json.dump({"version": VERSION, "searches": [to_values(each) for each in every]}, out, indent=1)
                out.flush()
                os.fsync(out.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)

    def _parse(self, size: int) -> tuple[SavedSearch, ...]:
        if size > MAX_FILE_BYTES:
            raise self._complain(f"it has more than {MAX_FILE_BYTES:,} bytes")
        try:
            values = json.loads(self.file.read_bytes())
            if values["version"] != VERSION:
                raise self._complain(f"it has the version {values['version']!r}, and this program reads {VERSION}")
            return tuple(map(from_values, values["searches"]))
        except OSError as error:
            raise self._complain(error.strerror or str(error)) from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise self._complain(f"{type(error).__name__}: {str(error)[:100]}") from error

    def _complain(self, reason: str) -> InputError:
        return InputError(
            f"the saved searches in {self.file} cannot be read ({reason}); mend the file or move it away, or name "
            "another one (--searches FILE)"
        )


def check_name(name: str) -> None:
    """Raises InputError for a name that people could not read or type again."""
    if not name.strip() or name != name.strip():
        raise InputError("a saved search needs a name that begins and ends with a letter; type one")
    if len(name) > MAX_NAME_LENGTH:
        raise InputError(f"the name has {len(name):,} letters, and {MAX_NAME_LENGTH} is the most; choose a shorter one")
    if not name.isprintable():
        raise InputError(f"the name {name!r} has characters that cannot be seen; choose another one")


@contextmanager
def hold_file_lock(path: Path) -> Iterator[None]:
    """Context manager: hold a lock file against other processes. Raises InputError where another holds it for long."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InputError(f"another process holds {path}; try again in a moment") from None
                time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def to_values(search: SavedSearch) -> dict[str, Any]:
    pictures = [
        {
            "key": each.key,
            "name": each.name,
            "thumbnail": base64.b64encode(each.thumbnail).decode("ascii"),
            "vector": base64.b64encode(each.vector.astype("<f4").tobytes()).decode("ascii"),
            "model": asdict(each.model),
        }
        for each in search.pictures
    ]
    return {"name": search.name, "address": search.address, "pictures": pictures}


def from_values(values: Mapping[str, Any]) -> SavedSearch:
    """Raises ValueError, TypeError, KeyError or AttributeError for anything that `to_values` did not make."""
    name, address = values["name"], values["address"]
    if not isinstance(name, str) or not isinstance(address, str):
        raise TypeError("name and address are texts")
    return SavedSearch(name, address, tuple(map(picture_from_values, values.get("pictures", ()))))


def picture_from_values(values: Mapping[str, Any]) -> SavedPicture:
    vector = np.frombuffer(base64.b64decode(values["vector"], validate=True), dtype="<f4").astype(np.float32)
    thumbnail = base64.b64decode(values["thumbnail"], validate=True)
    model = StoredModel.from_values(values["model"])
    return SavedPicture(str(values["key"]), str(values["name"]), thumbnail, vector, model)
