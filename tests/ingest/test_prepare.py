"""What becomes of one item, by what the database holds; test_pipeline.py has the whole way of it."""

import hashlib
from dataclasses import replace

import pytest

from clip_vectorizer.errors import InputError
from ingest.choices import Fit, Keep
from ingest.items import (
    Amendment,
    Facts,
    ImageObject,
    ItemOutcome,
    SourceItem,
    Status,
    StoredState,
    UnusableFile,
    digest_facts,
)
from ingest.prepare import PreparedItem, PrepareSettings, is_unchanged, prepare
from tests.ingest.fakes import BROKEN, File, ListSource, png

PNG = png()
HELD = StoredState(hashlib.sha256(PNG).hexdigest(), "crop", "s", digest_facts(Facts()), "/photos", "")


def item(data: bytes | Exception = PNG, facts: Facts | None = None, stamp: str = "s") -> SourceItem:
    [found] = ListSource({"x.png": File(data, facts or Facts(), stamp)})
    assert isinstance(found, SourceItem)
    return found


def prepared(found: SourceItem, held: StoredState | None = HELD, **settings: bool) -> PreparedItem:
    return prepare(found, held, PrepareSettings(keep=Keep.HASH, **settings))


def test_a_new_image_is_made_with_the_hash_of_its_bytes() -> None:
    made = prepared(item(facts=Facts("cats")), None)
    assert isinstance(made, ImageObject) and not made.replaces
    assert (made.sha256, made.size, made.image, made.facts) == (HELD.sha256, len(PNG), PNG, Facts("cats"))


@pytest.mark.parametrize("held", [replace(HELD, sha256="0"), replace(HELD, fit="pad")])
def test_other_bytes_or_another_fit_replace_what_is_held(held: StoredState) -> None:
    made = prepared(item(), held)
    assert isinstance(made, ImageObject) and made.replaces


def test_what_is_equal_is_unchanged_and_not_even_decoded() -> None:
    held = replace(HELD, sha256=hashlib.sha256(BROKEN).hexdigest())
    assert prepared(item(BROKEN), held) == ItemOutcome("x.png", Status.UNCHANGED, source="/photos")


@pytest.mark.parametrize("held", [replace(HELD, stamp="old"), replace(HELD, source="/other")])
def test_another_stamp_or_source_is_all_that_is_amended(held: StoredState) -> None:
    assert prepared(item(), held) == Amendment("x.png", "/photos", "s", None)


def test_other_facts_are_amended() -> None:
    assert prepared(item(facts=Facts("dogs"))) == Amendment("x.png", "/photos", "s", Facts("dogs"))


def test_a_perceptual_hash_is_added_where_it_is_wanted_and_missing() -> None:
    made = prepared(item(), near_duplicates=True)
    assert isinstance(made, Amendment) and made.facts is None and len(made.phash) == 16
    assert isinstance(prepared(item(), replace(HELD, phash="0" * 16), near_duplicates=True), ItemOutcome)


def test_another_sources_image_is_replaced_only_when_it_is_taken_over() -> None:
    held = replace(HELD, sha256="0", source="/other")
    refused = prepared(item(), held)
    assert isinstance(refused, ItemOutcome) and refused.status is Status.FAILED and "--take-over" in refused.reason
    assert isinstance(prepared(item(), held, take_over=True), ImageObject)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnusableFile("cannot be read (gone)"), "cannot be read (gone)"),
        (InputError("x.png: cannot be reached"), "cannot be reached"),
        (MemoryError("too large"), "MemoryError: too large"),
        (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error"),
    ],
)
def test_any_error_of_reading_is_the_reason_of_a_failure(error: Exception, reason: str) -> None:
    assert prepared(item(error)) == ItemOutcome("x.png", Status.FAILED, reason, "/photos")


def test_facts_that_cannot_be_had_fail_their_image() -> None:
    def no_facts(_: bytes) -> Facts:
        raise UnusableFile("its caption x.txt is not UTF-8")

    made = prepared(replace(item(), facts=no_facts))
    assert isinstance(made, ItemOutcome) and made.reason == "its caption x.txt is not UTF-8"


@pytest.mark.parametrize(
    ("found", "held", "expected"),
    [
        (item(), HELD, True),
        (item(), None, False),
        (item(stamp="new"), HELD, False),
        (item(stamp=""), replace(HELD, stamp=""), False),
        (item(), replace(HELD, source="/other"), False),
        (replace(item(), fit=Fit.PAD), HELD, False),
    ],
)
def test_unread_it_is_unchanged_by_its_stamp_its_source_and_its_fit(
    found: SourceItem, held: StoredState | None, expected: bool
) -> None:
    assert is_unchanged(found, held, PrepareSettings()) is expected


def test_unread_it_is_not_unchanged_where_its_perceptual_hash_is_missing() -> None:
    assert not is_unchanged(item(), HELD, PrepareSettings(near_duplicates=True))
    assert is_unchanged(item(), replace(HELD, phash="0" * 16), PrepareSettings(near_duplicates=True))
