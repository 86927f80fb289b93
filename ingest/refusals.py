"""What Weaviate says of one object, in words for people, and whether it is worth another try."""

import re

from clip_vectorizer.wire import about_one_file
from ingest.store import Refusal

PASSING = re.compile(
    r"status (429|502|503|504)|Client\.Timeout|deadline exceeded|timed? ?out|context canceled|shut(ting)? ?down"
    r"|resolve node name|no read replica|read-only|leader not found"
    r"|not enough memory|memory pressure|too many requests",
    re.IGNORECASE,
)
# Weaviate's own words before those of the sidecar, or of the part that refused the object.
SIDECAR_SAID = re.compile(r"^.*\bfail(?:ed)? with status \d+: ", re.DOTALL)
PREFIX = re.compile(r"^(?:(?:vectorize target vector \S+|update vector|put object|import into index \S+|shard \S+): )+")
LENGTH = 300


def refusal_of(reason: str) -> Refusal:
    return Refusal(in_words(reason), bool(PASSING.search(reason)))


def in_words(reason: str) -> str:
    text = " ".join(reason.split())
    said = about_one_file(SIDECAR_SAID.sub("", text)) if SIDECAR_SAID.match(text) else PREFIX.sub("", text)
    return said[:LENGTH] or "Weaviate refused it and does not say why"
