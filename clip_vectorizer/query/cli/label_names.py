"""Names of labels and phrases in options: separated by commas, or the lines of a file."""

import re
from collections.abc import Sequence
from pathlib import Path

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.prompts import read_lines

FILE_MARK = "@"
# A name in quotes, or everything before the next comma; two of the commas are Chinese.
LABEL_NAME = re.compile('\\s*"([^"]*)"\\s*(?=[,\uff0c\u3001]|$)|[^,\uff0c\u3001]*')
TABLE_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def parse_all_labels(options: Sequence[str]) -> list[str]:
    """The labels of all `--labels`: comma-separated names, or the lines of a file. Raises InputError."""
    return [label for option in options for label in parse_labels(option)]


def parse_labels(option: str) -> list[str]:
    if not option.startswith(FILE_MARK):
        return split_names(option)
    file = Path(option.removeprefix(FILE_MARK))
    lines = read_lines(file, f"--labels {option}", "one label per line")
    separator = TABLE_SEPARATORS.get(file.suffix.lower())
    if separator and any(separator in line for line in lines):
        raise InputError(f"--labels {option} is a table of several columns; name a text file with one label per line")
    return lines


def split_names(text: str) -> list[str]:
    names, at = [], 0
    while at <= len(text) and (match := LABEL_NAME.match(text, at)):
        names.append(match[0] if match[1] is None else match[1])
        at = match.end() + 1
    return names
