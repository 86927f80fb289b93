"""What is known of an image beside its pixels, put into words that can be compared."""

import hashlib
import json
from datetime import UTC, datetime

from ingest.items import Facts, Place, Value


def digest(facts: Facts) -> str:
    """Equal facts, equal digest, whatever the order of the metadata."""
    metadata = {name: plain(value) for name, value in facts.metadata.items()}
    text = json.dumps([facts.label, facts.caption, metadata], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def plain(value: Value) -> str | int | float | bool | list[float]:
    if isinstance(value, datetime):
        return rfc3339(value)
    return [value.latitude, value.longitude] if isinstance(value, Place) else value


def rfc3339(time: datetime) -> str:
    """As Weaviate wants a date."""
    return zoned(time).isoformat()


def zoned(time: datetime) -> datetime:
    """A time that names no zone is taken as UTC."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)
