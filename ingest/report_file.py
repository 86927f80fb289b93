"""`--report`: a line of JSON for every image seen, and the way back from it to what failed."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from clip_vectorizer.errors import InputError
from ingest.items import Fate, Item, Outcome
from ingest.report import IngestReport


class ReportFile:
    """A listener and a context. What was uploaded gets its line at the end, when it has been asked for again.

    A full disk must not stop an ingest: `problem` tells then that the report is not whole.
    """

    def __init__(self, file: Path, complain: Callable[[str], None]) -> None:
        """Raises InputError when the file cannot be made."""
        self._file, self._complain = file, complain
        self._uploaded: dict[str, Outcome] = {}
        self.problem = ""
        try:
            # What is no UTF-8, in a path or an error's words, comes out as JSON writes it: \udce9
            self._out: IO[str] = file.open("w", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise InputError(f"--report {file} cannot be written ({error.strerror})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for outcome in self._uploaded.values():
            self._write(outcome)
        self._safely(self._out.close)

    def __call__(self, report: IngestReport, event: object) -> None:
        if isinstance(event, Outcome):
            if event.sha256:
                self._uploaded[event.key] = event
            else:
                self._uploaded.pop(event.key, None)
                self._write(event)

    def _write(self, outcome: Outcome) -> None:
        if self.problem:
            return
        line = {"key": outcome.key, "status": outcome.fate, "reason": outcome.reason, "source": outcome.source}
        self._safely(lambda: self._out.write(json.dumps(line, ensure_ascii=False) + "\n"))

    def _safely(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            if not self.problem:
                self.problem = f"the report {self._file} is not whole ({error.strerror})"
                self._complain(f"{self.problem}; the images are not concerned")


@dataclass(frozen=True, slots=True)
class Failed:
    """What an earlier run's report says has failed."""

    keys: frozenset[str]
    sources: tuple[str, ...]  # in the order of the report
    whole: frozenset[str]  # sources of which something failed that has no key of its own: a row, the folder itself

    @classmethod
    def read(cls, file: Path) -> "Failed":
        """Raises InputError for what is no report, naming the line."""
        lines = [line for line in read_lines(file) if line["status"] == Fate.FAILED]
        named = dict.fromkeys(line["source"] for line in lines if line["source"])
        parts = {line["source"] for line in lines if "#row=" in line["key"] or line["key"].split("/")[-1] == "."}
        return cls(frozenset(line["key"] for line in lines), tuple(named), frozenset(parts))

    def has(self, found: Item | Outcome) -> bool:
        return found.source in self.whole or any(key in self.keys for key in wholes(found.key))


def wholes(key: str) -> Iterator[str]:
    """The key, and those of all that it is a part of: folders, archives, documents."""
    yield key
    for border in re.finditer("/|::|#", key):
        yield key[: border.start()]
        yield key[: border.end()]


def read_lines(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--retry-failed {file} cannot be read ({error})") from error
    return [read_line(file, number, line) for number, line in enumerate(text.split("\n"), 1) if line]


def read_line(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
        return {name: str(values[name]) for name in ("key", "status", "source")}
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{file} line {number} is no line of a report written by --report") from error
