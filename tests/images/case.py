"""One file of the corpus: its bytes, what is right for it, and what Chromium makes of it."""

from dataclasses import dataclass
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]  # (H, W, 3), sRGB

# opened   as it is, nothing is missing
# damaged  taken, and the damage is named
# shown    all pixels are there: opened, with or without a word about the file's faults
# refused  with a sentence that contains `says`
# either   opened with the right pixels, or refused with `says`: it depends on an extra
Kind = Literal["opened", "damaged", "shown", "refused", "either"]
# same     Chromium's pixels are the truth
# other    Chromium shows something else; `why` has the reason
# nothing  Chromium does not open the file
# left out it takes Chromium too long; `why` has the reason
Browser = Literal["same", "other", "nothing", "left out"]


class Other(TypedDict):
    """Arguments of a case that Chromium shows differently, for a reason."""

    browser: Literal["other"]
    why: str


@dataclass(frozen=True, slots=True)
class CorpusCase:
    """A small file made by code, and the upright sRGB pixels that are right for it where they are known."""

    name: str  # a file name, unique in the corpus
    what: str  # for the table in docs/formats.md
    data: bytes
    kind: Kind = "opened"
    truth: Rgb | None = None  # on white; None where nothing is shown or nothing is known
    says: str = ""  # a part of the reason of a refusal, in any case
    rows: float = 1.0  # share of the rows, from the top, that the truth holds for
    levels: float = 2.0  # mean grey levels by which the pixels may differ from the truth
    browser: Browser = "same"
    why: str = ""  # Chromium differs or is left out

    @property
    def suffix(self) -> str:
        return self.name.rpartition(".")[2]


def mean_difference(pixels: Rgb, truth: Rgb, rows: float = 1.0) -> float:
    """Mean absolute difference in grey levels over the first `rows` of the rows; 255 where the sizes differ."""
    if pixels.shape != truth.shape:
        return 255.0
    height = round(truth.shape[0] * rows)
    return float(np.abs(pixels[:height].astype(np.int16) - truth[:height].astype(np.int16)).mean())
