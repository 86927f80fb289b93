from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import SidecarUnreachable, Unreachable
from ingest.choices import Fit
from ingest.embed import StoreChange
from ingest.items import Amendment, Facts, ImageObject, Status
from ingest.retry import Patience
from ingest.store.base import Refusal
from ingest.upload import put_with_retries, upload
from tests.ingest.fakes import FakeStore, png
from tests.ingest.test_retry import FakeTime

PNG = png()
BUSY, BAD = Refusal("503", transient=True), Refusal("422")


def image(key: str, replaces: bool = False) -> ImageObject:
    data = png()
    return ImageObject(
        key, "/photos", "s", f"sha of {key}", Fit.CROP, Facts(), "image/png", len(data), data, replaces=replaces
    )


def patience(seconds: float = 60) -> Patience:
    return FakeTime().patience(seconds)


class Script:
    """Refuses a key with each of its refusals in turn, then accepts it; unreachable for the requests in `away`."""

    def __init__(self, refusals: dict[str, list[Refusal]] | None = None, away: Sequence[int] = ()) -> None:
        self._refusals = {key: list(each) for key, each in (refusals or {}).items()}
        self._away, self._requests = away, 0

    def refuse(self, change: StoreChange) -> Refusal | None:
        left = self._refusals.get(change.key)
        return left.pop(0) if left else None

    def before(self, name: str, keys: Sequence[str]) -> None:
        self._requests += 1
        if self._requests in self._away:
            raise SidecarUnreachable("connection refused")

    def store(self) -> FakeStore:
        return FakeStore(refuse=self.refuse, before=self.before)


def test_each_change_comes_out_with_its_result() -> None:
    store = FakeStore(refuse=lambda change: BAD if change.key == "bad" else None)
    upload([image("amended"), image("refreshed")], store, patience())
    changes: list[StoreChange] = [
        image("added"),
        image("updated", replaces=True),
        image("bad"),
        Amendment("amended", "/photos", "t", Facts("cats")),
        Amendment("refreshed", "/photos", "t", None),
    ]
    outcomes = list(upload(changes, store, patience()))
    assert [outcome.key for outcome in outcomes] == [change.key for change in changes]
    assert [outcome.status for outcome in outcomes] == [
        Status.ADDED,
        Status.UPDATED,
        Status.FAILED,
        Status.UPDATED,
        Status.UNCHANGED,
    ]
    assert outcomes[2].reason == "422" and not outcomes[2].sha256 and outcomes[0].sha256 == "sha of added"


SPELLS = st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.sampled_from([BUSY, BUSY, BAD]), max_size=3))


@given(SPELLS, st.lists(st.integers(1, 12)), st.sets(st.sampled_from("abcdefgh")))
def test_every_change_has_one_outcome_for_any_response_of_the_store(
    refusals: dict[str, list[Refusal]], away: list[int], amended: set[str]
) -> None:
    old, store = FakeStore(), Script(refusals, away).store()
    list(upload([image(key) for key in amended], old, patience()))
    store.objects = dict(old.objects)
    changes: list[StoreChange] = [
        Amendment(key, "/p", "t", Facts("new")) if key in amended else image(key) for key in "abcdefgh"
    ]
    outcomes = list(upload(changes, store, patience(10_000)))
    assert Counter(outcome.key for outcome in outcomes) == Counter("abcdefgh")
    for outcome in outcomes:
        assert (outcome.status is Status.FAILED) == (BAD in refusals.get(outcome.key, []))
        stored = store.objects.get(outcome.key)
        if outcome.status is Status.ADDED:
            assert stored
        elif outcome.status is Status.UPDATED:
            assert stored and stored.facts.label == "new"


def test_only_temporary_refusals_are_sent_again_after_longer_and_longer_waits() -> None:
    time, store = FakeTime(), Script({"b": [BUSY, BUSY, BUSY]}).store()
    assert put_with_retries(store.put, [image("a"), image("b")], time.patience(60)) == {}
    assert store.calls_of("put") == [("a", "b"), ("b",), ("b",), ("b",)] and time.slept == [0.5, 1.0]


def test_a_permanent_refusal_is_kept_when_the_rest_is_tried_again() -> None:
    store = Script({"bad": [BAD], "b": [BUSY, BUSY]}).store()
    assert put_with_retries(store.put, [image("bad"), image("b")], patience()) == {"bad": BAD}
    assert set(store.objects) == {"b"}


def test_nothing_accepted_within_the_patience_is_unreachable() -> None:
    store = FakeStore(refuse=lambda _: BUSY)
    with pytest.raises(Unreachable, match="503"):
        put_with_retries(store.put, [image("a")], patience(10))


def test_a_change_that_never_succeeds_is_refused_when_others_of_its_batch_are_stored() -> None:
    store = FakeStore(refuse=lambda change: BUSY if change.key == "a" else None)
    assert put_with_retries(store.put, [image("a"), image("b")], patience(10_000)) == {"a": BUSY}


def test_one_that_never_passes_does_not_use_up_the_patience_while_others_are_taken() -> None:
    time = FakeTime()
    waiting = time.patience(10_000)
    store = FakeStore(refuse=lambda change: BUSY if change.key == "a" else None)

    def put(batch: Sequence[ImageObject]) -> dict[str, Refusal]:
        waiting.call(lambda: "another thread's success")
        return dict(store.put(batch))

    assert put_with_retries(put, [image("a"), image("b")], waiting) == {"a": BUSY}
    assert time.now < 60


def test_a_store_that_comes_back_gets_everything() -> None:
    store = Script(away=range(1, 5)).store()
    assert put_with_retries(store.put, [image("a")], patience()) == {}
    assert list(store.objects) == ["a"]


def test_a_store_that_stays_away_ends_the_run() -> None:
    with pytest.raises(Unreachable):
        upload([image("a")], Script(away=range(1, 999)).store(), patience())


def test_an_empty_batch_sends_no_request() -> None:
    store = FakeStore()
    assert not list(upload([], store, patience())) and not store.calls


def test_a_replaced_image_frees_those_that_were_equal_to_it() -> None:
    store = FakeStore()
    list(upload([image("a")], store, patience()))
    store.objects["b"] = replace(image("b"), duplicate_of="a")
    list(upload([image("a", replaces=True)], store, patience()))
    assert store.objects["b"].duplicate_of == ""
