"""After any fault in a run, the next run leaves the store as one run without faults does."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from clip_vectorizer.errors import SidecarUnreachable, WeaviateUnreachable
from ingest.choices import Fit, Keep
from ingest.items import Facts, ImageObject
from ingest.pipeline import IngestSettings, ingest
from ingest.report import IngestReport
from ingest.stages import SizeLimit
from tests.ingest.fakes import BROKEN, FakeEmbedder, FakeStore, File, ListSource, colour, held, png

SMALL = IngestSettings(
    workers=2, patience_seconds=0, embed_batch=SizeLimit(2), module_batch=SizeLimit(2), upload_batch=SizeLimit(3)
)


class Fault:
    """Raises at one call of all that are made, before or after it was obeyed."""

    def __init__(self, at: int, error: Exception) -> None:
        self._at, self._error, self._calls = at, error, count()

    def __call__(self, *_: object) -> None:
        if next(self._calls) == self._at:
            raise self._error


FILES = st.dictionaries(
    st.sampled_from([f"{letter}.png" for letter in "abcdefghij"]),
    st.builds(
        File,
        st.sampled_from([png(colour(number)) for number in range(4)] + [BROKEN]),  # some are equal
        st.sampled_from([Facts(), Facts("cats"), Facts("", "a cat")]),
        st.sampled_from([None, "", "stamp"]),
        st.sampled_from([Fit.CROP, Fit.CROP, Fit.PAD]),
    ),
    min_size=1,
)
ERRORS = st.sampled_from([WeaviateUnreachable("away"), SidecarUnreachable("away"), RuntimeError("a bug")])
KEEPS = st.sampled_from([Keep.FULL, Keep.THUMBNAIL, Keep.HASH, Keep.NONE])


@settings(max_examples=50, deadline=None)
@given(FILES, FILES, st.lists(st.tuples(st.integers(0, 20), st.booleans(), ERRORS), max_size=3), KEEPS, st.booleans())
def test_runs_that_break_off_anywhere_and_one_that_ends_are_like_one_that_ends(
    old: dict[str, File], new: dict[str, File], faults: list[tuple[int, bool, Exception]], keep: Keep, here: bool
) -> None:
    here = here or keep is Keep.NONE
    broken_off, at_once = FakeStore(keep=keep), FakeStore(keep=keep)
    for store in (broken_off, at_once):
        run(old, store, here)
    for at, after, error in faults:
        fault = Fault(at, error)
        with_fault(broken_off, fault, after, partial(run, new, broken_off, here, fault))
    reports = [run(new, store, here) for store in (broken_off, at_once)]
    assert known(broken_off) == known(at_once)
    for store, report in zip((broken_off, at_once), reports, strict=True):
        check_links(store)
        assert report.seen == len(new) == report.added + report.updated + report.unchanged + report.failed
    assert {each.key for each in reports[0].failures} == {each.key for each in reports[1].failures}


def run(
    files: dict[str, File], store: FakeStore, here: bool, fault: Callable[..., None] = lambda *_: None
) -> IngestReport:
    return ingest([ListSource(files)], store, FakeEmbedder(fault) if here else None, settings=SMALL)


def with_fault(store: FakeStore, fault: Fault, after: bool, act: Callable[[], object]) -> None:
    store.after, store.before = (fault, silent) if after else (silent, fault)
    try:
        act()
    except (WeaviateUnreachable, SidecarUnreachable, RuntimeError):
        pass
    finally:
        store.after = store.before = silent


def silent(name: str, keys: Sequence[str]) -> None:
    pass


def known(store: FakeStore) -> dict[str, object]:
    """All but the links: which of several equal ones is the first is a matter of chance."""
    return {key: (held(item), vector(item), item.image, item.thumbnail) for key, item in store.objects.items()}


def vector(item: ImageObject) -> list[float]:
    assert item.vector_d is not None
    return list(item.vector_d.tolist())


def check_links(store: FakeStore) -> None:
    """Every link leads to an equal image that is linked to nothing itself, and each content has such a one."""
    contents = defaultdict(list)
    for item in store.objects.values():
        contents[item.sha256, item.fit].append(item)
    for equal in contents.values():
        originals = {item.key for item in equal if not item.duplicate_of}
        assert originals and all(item.key in originals or item.duplicate_of in originals for item in equal)


@settings(max_examples=20, deadline=None)
@given(FILES, st.sets(st.integers(0, 9)), st.booleans())
def test_a_third_run_finds_nothing_to_do(files: dict[str, File], lost: set[int], here: bool) -> None:
    store = FakeStore()
    run(files, store, here)
    for key in [key for number, key in enumerate(sorted(store.objects)) if number in lost]:
        del store.objects[key]
    run(files, store, here)
    before = {key: replace(item) for key, item in store.objects.items()}
    store.calls.clear()
    run(files, store, here)
    assert not store.calls_of("put") and not store.calls_of("amend")
    assert {key: item.duplicate_of for key, item in before.items()} == {
        key: item.duplicate_of for key, item in store.objects.items()
    }
