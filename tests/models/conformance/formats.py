"""All formats that are compared, in the order of the table."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.models.conformance import chinese_files, open_clip_files, openai_files, transformers_files
from tests.models.conformance.agreement import Agreement, Format, measure

FORMATS: list[Format] = [
    *openai_files.FORMATS,
    *open_clip_files.FORMATS,
    *transformers_files.FORMATS,
    *chinese_files.FORMATS,
]
BOUND = 1e-6  # of 1 - cosine, float32
LEVELS_BOUND = 0.05  # of 255, mean of a picture: a crop that is one pixel off has more than 1
SPREAD_BOUND = 1e-3  # of 1 - cosine: two samples are at least that far apart, so that agreement means something


@contextmanager
def empty_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        yield Path(folder)


def measure_format(each: Format) -> Agreement:
    with empty_folder() as folder:
        return measure(each.save(folder))
