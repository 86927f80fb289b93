"""A CaptionStore without a database."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clip_vectorizer.query.captions.captioned import CaptionSubject, ImageRegions
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.vectors import Vectors


@dataclass
class FakeCaptions:
    """Images by id, in order. Rejects writes to the ids in `rejects`."""

    images: dict[str, CaptionSubject]
    vectors: Mapping[str, Vectors] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    regions: Mapping[str, ImageRegions] = field(default_factory=dict)
    nearest: Sequence[str] = ()
    rejects: Collection[str] = ()
    prepared: int = 0

    def prepare(self) -> None:
        self.prepared += 1

    def list_ids(self, filters: FilterInput) -> Iterator[Sequence[str]]:
        yield list(self.images)

    def fetch(self, ids: Sequence[str], filters: FilterInput) -> list[CaptionSubject]:
        return [self.images[id] for id in ids]

    def add_vectors(self, images: Sequence[CaptionSubject]) -> list[CaptionSubject]:
        return [replace(each, vector=self.vectors.get(each.id)) for each in images]

    def add_pictures(self, images: Sequence[CaptionSubject]) -> list[CaptionSubject]:
        return [replace(each, picture=self.pictures.get(each.id)) for each in images]

    def add_regions(self, images: Sequence[CaptionSubject]) -> list[CaptionSubject]:
        return [replace(each, regions=self.regions.get(each.id)) for each in images]

    def find_captions(self, vector_d: Vectors, count: int) -> list[str]:
        return list(self.nearest[:count])

    def write(self, captions: Mapping[str, str], by: str) -> Mapping[str, str]:
        for id, text in captions.items():
            if id not in self.rejects:
                self.images[id] = replace(self.images[id], written=text, by=by)
        return {id: "no" for id in captions if id in self.rejects}


def store(count: int, **more: object) -> FakeCaptions:
    images = {str(number): CaptionSubject(str(number), f"{number}.png", "", "", "") for number in range(count)}
    return FakeCaptions(images, **more)  # type: ignore[arg-type]
