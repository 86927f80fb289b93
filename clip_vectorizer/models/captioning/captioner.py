"""The contract between the sidecar and a model that writes captions. No torch, so that fakes can implement it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image


@dataclass(frozen=True, slots=True)
class CaptionerInfo:
    """Description of a captioner, as `/meta` returns it under `captioner`."""

    name: str  # the name it was loaded by: `coca:ARCHITECTURE::TAG`, `transformers:PATH`, ...
    revision: str  # digest of its weights and settings: equal revisions write equal captions


class Captioner(Protocol):
    """Describes upright RGB pictures. `caption` may run in one thread at a time."""

    @property
    def info(self) -> CaptionerInfo: ...

    def caption(self, images: Sequence[Image.Image]) -> list[str]:
        """One sentence for each picture, in order, by beam search: nothing is drawn at random."""
