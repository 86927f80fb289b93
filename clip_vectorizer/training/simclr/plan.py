"""The options of `clip-vectorizer train simclr`. Imports no torch, so that a wrong one is refused at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clip_vectorizer.errors import InputError
from clip_vectorizer.images.pdf_passwords import PdfPassword

SIDES = (96, 128)  # pixels: multiples of 32, which the network halves five times
WORK, PAGES = "training", "pages"  # folders in the output: checkpoint and curve; the pages, drawn small
WARMUP_SHARE = 0.1  # of the steps


@dataclass(frozen=True, slots=True)
class SimclrPlan:
    source: Path
    output: Path
    work: Path | None = None  # where the pages are kept for later trainings; None: in the output, until the end
    epochs: int = 15
    steps: int | None = None  # instead of `epochs`; 0: random weights
    side: int = 96
    batch: int = 128  # pages, two views of each: a view has 2 * batch - 2 negatives
    temperature: float = 0.2
    learning_rate: float = 1e-3  # peak
    device: str = "cpu"
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = 0
    checkpoint_steps: int = 50
    resume: bool = False
    pdf_passwords: tuple[PdfPassword, ...] = ()

    @property
    def state(self) -> Path:
        """The folder of checkpoint and curve."""
        return self.output / WORK

    @property
    def pages(self) -> Path:
        return self.work or self.state / PAGES

    def describe(self) -> dict[str, str]:
        """What a continued training must have in common with its start, by option."""
        names = ("steps", "side", "batch", "temperature", "learning_rate", "precision", "seed")
        length = {"--epochs": str(self.epochs)} if self.steps is None else {}
        return length | {f"--{name.replace('_', '-')}": str(getattr(self, name)) for name in names}

    def check_paths(self) -> None:
        """Raises InputError for a source that does not exist, and an output that exists, unless it is continued."""
        if not self.source.exists():
            raise InputError(f"{self.source}: no such file or folder; name a folder of images and PDF files")
        if self.resume and not self.state.is_dir():
            raise InputError(f"{self.output} contains no training; name the --output of the training to continue")
        if not self.resume and self.output.exists() and not self.is_pages_only:
            raise InputError(f"{self.output} exists; name another --output, or continue its training with --resume")

    @property
    def is_pages_only(self) -> bool:
        """Whether the output has nothing but drawn pages: the training that drew them did not begin."""
        if not self.state.is_dir():
            return False
        return {*self.output.iterdir(), *self.state.iterdir()} <= {self.state, self.state / PAGES}
