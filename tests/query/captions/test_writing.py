"""Runs over a collection: never over a given caption, none twice, one failure spoils no other."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from clip_vectorizer.query.captions.captioned import CaptionStore, CaptionSubject
from clip_vectorizer.query.captions.ways import CaptionFailure, CaptionOutcome
from clip_vectorizer.query.captions.writing import CaptionRun
from tests.query.captions.fakes import FakeCaptions, store


@dataclass
class PathWay:
    """The caption of an image is its path; those in `bad` get none."""

    by: str = "paths 1"
    batch: int = 3
    bad: Sequence[str] = ()
    seen: list[str] = field(default_factory=list)

    def write(self, images: Sequence[CaptionSubject], store: CaptionStore) -> list[CaptionOutcome]:
        self.seen += [each.path for each in images]
        return [CaptionFailure("bad") if each.path in self.bad else f"shows {each.path}" for each in images]


def written(images: FakeCaptions) -> dict[str, str]:
    return {each.path: each.written for each in images.images.values() if each.written}


def test_every_image_gets_its_caption_and_what_wrote_it() -> None:
    images = store(7)
    captions = list(CaptionRun(images, PathWay()))
    assert [each.caption for each in captions] == [f"shows {number}.png" for number in range(7)]
    assert written(images) == {each.path: each.caption for each in captions}
    assert {each.by for each in images.images.values()} == {"paths 1"} and images.prepared == 1


def test_an_image_with_a_caption_of_its_own_keeps_it_and_gets_no_other() -> None:
    images = store(4)
    images.images["2"] = replace(images.images["2"], given="a cat")
    run = CaptionRun(images, PathWay())
    assert [each.id for each in run] == ["0", "1", "3"]
    assert images.images["2"].written == "" and run.counts.given == 1


def test_a_run_that_ended_early_is_continued() -> None:
    images = store(10)
    first = iter(CaptionRun(images, PathWay()))
    assert [each.id for each in islice(first, 4)] == ["0", "1", "2", "3"]
    first.close()
    done = set(written(images))
    run = CaptionRun(images, PathWay())
    assert {each.path for each in run} == {f"{number}.png" for number in range(10)} - done
    assert run.counts.done == len(done) and len(written(images)) == 10


def test_another_way_replaces_captions_and_the_same_way_only_when_told() -> None:
    images = store(2)
    list(CaptionRun(images, PathWay()))
    assert list(CaptionRun(images, PathWay())) == []
    assert len(list(CaptionRun(images, PathWay(), redo=True))) == 2
    assert len(list(CaptionRun(images, PathWay(by="paths 2")))) == 2
    assert images.images["0"].by == "paths 2"


def test_the_limit_counts_captions_and_no_image_beyond_it_is_described() -> None:
    images, way = store(20), PathWay()
    images.images["0"] = replace(images.images["0"], given="a cat")
    assert [each.id for each in CaptionRun(images, way, limit=4)] == ["1", "2", "3", "4"]
    assert way.seen == ["1.png", "2.png", "3.png", "4.png"]


def test_an_image_without_a_caption_spoils_no_other_and_is_tried_again() -> None:
    images = store(5, rejects=["3"])
    captions = list(CaptionRun(images, PathWay(bad=["1.png"])))
    assert [each.error for each in captions] == ["", "bad", "", "not written: no", ""]
    assert set(written(images)) == {"0.png", "2.png", "4.png"}
    assert [each.id for each in CaptionRun(images, PathWay())] == ["1", "3"]
