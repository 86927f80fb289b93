import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clip_vectorizer.errors import VectorizerError
from ingest.items import ItemOutcome, SourceItem, Status
from ingest.listing import Selection
from ingest.pipeline import IngestSettings, ingest
from ingest.report import IngestReport
from ingest.sources.base import SETTLED_SECONDS
from ingest.watch import MAX_DEFERRALS, ChangeFilter, iterate_rounds
from tests.ingest.fakes import FakeStore, File, ListSource, pictures, png, write


class Enough(VectorizerError):
    """Ends a watch, which has no end of its own."""


Step = Callable[[], object]


class Watch:
    """Watches a remote source without change events; a step of the test runs between two rounds."""

    def __init__(self, source: ListSource) -> None:
        source.name = "memory://photos"
        self.source, self.store, self.report, self.looks = source, FakeStore(), IngestReport(), 0

    def run(self, *steps: Step) -> list[int]:
        """How many images were taken in each round."""
        left: Iterator[Step] = iter(steps)

        def sleep(_: float) -> None:
            step = next(left, None)
            if step is None:
                raise Enough
            step()

        changed, taken = ChangeFilter(), list[int]()
        selection = Selection(only=changed.has)
        with pytest.raises(Enough):
            for _ in iterate_rounds([self.source], changed, sleep):
                before = self.report.seen
                settings = IngestSettings(selection=selection, patience_seconds=0)
                ingest([self.source], self.store, settings=settings, report=self.report)
                taken.append(self.report.seen - before)
        return taken


def nothing() -> None:
    pass


def choose(changed: ChangeFilter, source: ListSource) -> list[str]:
    """The keys of a round."""
    changed.begin()
    return [found.key for found in source if isinstance(found, SourceItem) and changed.has(found)]


def test_the_first_round_comes_at_once_and_takes_everything() -> None:
    assert Watch(ListSource(pictures(3))).run() == [3]


def test_no_round_comes_while_nothing_changes() -> None:
    assert Watch(ListSource(pictures(3))).run(nothing, nothing, nothing) == [3]


def test_a_round_takes_what_is_new_or_has_changed_and_nothing_else() -> None:
    source, changed = ListSource(pictures(3)), ChangeFilter()
    assert choose(changed, source) == list(pictures(3))
    assert choose(changed, source) == []
    source.files["0001.png"] = File(b"other")
    source.files["new.png"] = File(b"new")
    assert choose(changed, source) == ["0001.png", "new.png"]
    assert choose(changed, source) == [] and not changed.waiting


def test_an_image_that_vanished_and_came_back_unchanged_is_no_change() -> None:
    source, changed = ListSource(pictures(3)), ChangeFilter()
    choose(changed, source)
    file = source.files.pop("0001.png")
    choose(changed, source)
    source.files["0001.png"] = file
    assert choose(changed, source) == []


def test_a_file_that_is_still_being_written_is_put_off_until_it_is_whole() -> None:
    watch = Watch(ListSource({"whole.png": png(), "half.png": File(png()[:20], stamp="")}))

    def written() -> None:
        watch.source.files["half.png"] = File(png(), stamp="settled")

    assert watch.run(nothing, written, nothing) == [1, 0, 1]
    assert set(watch.store.objects) == {"whole.png", "half.png"} and watch.report.failed == 0


def test_a_file_without_a_stamp_is_taken_in_the_end_and_does_not_keep_the_watch_busy() -> None:
    watch = Watch(ListSource({"x.png": File(png(), stamp="")}))
    looks = [nothing] * (MAX_DEFERRALS + 4)
    assert watch.run(*looks) == [0] * MAX_DEFERRALS + [1]


def test_a_file_that_settles_after_all_is_looked_at_again() -> None:
    source, changed = ListSource({"x.png": File(png(), stamp="")}), ChangeFilter()
    taken = [choose(changed, source) for _ in range(MAX_DEFERRALS + 2)]
    assert taken == [*[[]] * MAX_DEFERRALS, ["x.png"], []]
    source.files["x.png"].stamp = "settled"
    assert choose(changed, source) == ["x.png"]
    source.files["x.png"].stamp = ""  # it is written to once more
    assert choose(changed, source) == [] and changed.waiting


def test_an_unlisted_file_is_reported_once_for_each_reason() -> None:
    changed = ChangeFilter()
    locked, gone = (ItemOutcome("sub", Status.FAILED, reason) for reason in ("locked", "gone"))
    assert [changed.has(found) for found in (locked, locked, gone, gone)] == [True, False, True, False]


def test_a_change_in_a_folder_starts_a_round(tmp_path: Path) -> None:
    looks = iterate_rounds([ListSource({}, str(tmp_path))], ChangeFilter())
    next(looks)
    written = threading.Timer(0.3, write, (tmp_path / "new.png", png()))
    written.start()
    next(looks)
    written.join()


def test_a_file_written_before_the_folder_is_watched_starts_a_round(tmp_path: Path) -> None:
    looks = iterate_rounds([ListSource({}, str(tmp_path))], ChangeFilter())
    next(looks)
    write(tmp_path / "early.png", png())
    begun = time.monotonic()
    next(looks)
    assert time.monotonic() - begun < 5 * SETTLED_SECONDS


def test_a_change_while_a_round_runs_starts_another(tmp_path: Path) -> None:
    looks = iterate_rounds([ListSource({}, str(tmp_path))], ChangeFilter())
    next(looks)
    next(looks)  # the folder is watched now
    write(tmp_path / "late.png", png())
    time.sleep(0.5)
    begun = time.monotonic()
    next(looks)
    assert time.monotonic() - begun < 5 * SETTLED_SECONDS


def test_an_address_too_long_for_a_file_name_can_be_watched() -> None:
    slept: list[float] = []
    changed = ChangeFilter()
    looks = iterate_rounds([ListSource({}, f"https://example.com/{'x' * 5000}")], changed, slept.append)
    next(looks)
    changed.waiting = True
    next(looks)
    assert slept == [SETTLED_SECONDS]
