"""What goes into a classification and what comes out of it. N images · D dimensions"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

from clip_vectorizer.vectors import Vectors


@dataclass(frozen=True, slots=True)
class Classification:
    """What one image shows. With `error` nothing could be said: the other fields but `path` and `id` are empty or 0."""

    path: str
    label: str = ""
    score: float = 0.0  # 0..1, softmax over all labels
    margin: float = 0.0  # score less the runner-up's
    runner_up: str = ""
    error: str = ""
    similarity: float = 0.0  # the best label's cosine; with shots its share. `other` is a threshold of it
    id: str = ""  # of the object, where the image is in the database


Classifications = Generator[Classification, None, None]  # to be closed by whoever does not want all of them


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Some images, in order, with their vectors. An image that has none is named in `errors`, its row is zeros."""

    ids: Sequence[str]  # of the objects; a file that is in no database has an empty one
    paths: Sequence[str]
    vectors_nd: Vectors  # (N, D) float32, unit rows; (N, 0) where nobody asked for vectors
    errors: Mapping[int, str] = field(default_factory=dict)  # by index in this block

    def __len__(self) -> int:
        return len(self.paths)
