"""What file systems tell of a file, and what they want to be told."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ingest.facts import zoned
from ingest.sources.base import settled, stamp_of

Info = Mapping[str, Any]

# What tells one version of a file from the next, by the names that file systems have for it.
MARKS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "crc32c")
TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "time", "created")
SECRET = re.compile(r"key|secret|token|pass|credential|sig|connection", re.IGNORECASE)


def stamp_of_info(info: Info) -> str:
    """Of what a file system tells of a file; "" where that does not tell versions apart."""
    size, marks = info.get("size"), [info[name] for name in MARKS if info.get(name)]
    if marks:
        return stamp_of(size, *marks)
    time = next((nanoseconds(info[name]) for name in TIMES if info.get(name)), None)
    return stamp_of(size, time) if time is not None and settled(time) else ""


def nanoseconds(time: object) -> int | None:
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return None
    if isinstance(time, datetime):
        time = zoned(time).timestamp()
    return int(time * 1e9) if isinstance(time, int | float) else None


def meaning(name: str, value: str) -> object:
    """`--storage NAME=VALUE` as the file system wants it: true, false, numbers and JSON objects; all else is text."""
    number = value.isdecimal() and not SECRET.search(name)
    if number or value in ("true", "false") or value.startswith(("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
