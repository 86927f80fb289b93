"""Batches of images that are classified, and the results. N images · D dimensions"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

from clip_vectorizer.vectors import Vectors


@dataclass(frozen=True, slots=True)
class Classification:
    """Result for one image. With `error` the other fields except `path` and `id` are empty or 0."""

    path: str
    label: str = ""
    score: float = 0.0  # 0..1, softmax over all labels
    margin: float = 0.0  # score minus the score of the runner-up
    runner_up: str = ""
    error: str = ""
    similarity: float = 0.0  # cosine of the best label; with shots its share. `threshold` is compared with it
    id: str = ""  # of the object, if the image is in the database


Classifications = Generator[Classification, None, None]  # close() it to stop early


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Some images in order, with their vectors. An image without a vector has an entry in `errors` and a zero row."""

    ids: Sequence[str]  # of the objects; "" for a file that is not in the database
    paths: Sequence[str]
    vectors_nd: Vectors  # (N, D) float32, unit rows; (N, 0) if vectors were not requested
    errors: Mapping[int, str] = field(default_factory=dict)  # by index in this batch

    def __len__(self) -> int:
        return len(self.paths)
