"""The options of `clip-vectorizer train contrastive`. Imports no torch, so that a wrong one is refused at once."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from clip_vectorizer.defaults import DEFAULT_GRPC_PORT, DEFAULT_URL
from clip_vectorizer.errors import InputError

SCRATCH_RATE, FINE_TUNING_RATE = 5e-4, 1e-5  # peak learning rates of Radford et al. 2021, and of fine-tuning them
WARMUP_SHARE = 0.1  # of the steps
RANDOM = "::random"
WORK = "training"  # folder in the output: checkpoint, best weights, curve
COPY, VALIDATION_COPY = "images", "validation-images"  # folders in it, for sources that are no files
COLLECTION = "weaviate:"  # before the name of a collection that is a source
# What a continuation may change. Of the data there is a digest, so they may be moved.
FREE_TO_CHANGE = (
    *("source", "validation", "output", "resume", "checkpoint_steps", "patience"),
    *("weaviate_url", "weaviate_grpc_port", "weaviate_api_key", "tenant"),
)


@dataclass(frozen=True, slots=True)
class ContrastivePlan:
    source: Path
    output: Path
    model: str
    architecture: str = ""  # of a checkpoint file
    loss: Literal["softmax", "sigmoid"] = "softmax"
    freeze: Literal["image", "text"] | None = None
    epochs: int = 10
    batch: int = 256  # pairs that are each other's negatives
    chunk: int | None = None  # items in a tower at a time; None: the batch
    learning_rate: float | None = None  # peak; None: as the model needs it
    weight_decay: float = 0.1
    warmup: int | None = None  # steps; None: a tenth of all
    crop: float = 0.9  # least share of an image that a random crop keeps
    device: str = "cpu"
    processes: int = 1  # on this machine, that share a batch
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = 0
    validation: Path | None = None  # a source of its own
    validation_share: float = 0.1  # of the source, without `validation`
    patience: int = 5  # validations without a gain before the training ends
    checkpoint_steps: int = 100
    interpolate: float = 0.0  # share of the start's weights in the output
    path_column: str = ""
    caption_column: str = ""  # of a table, or a property of a collection
    weaviate_url: str = DEFAULT_URL
    weaviate_grpc_port: int = DEFAULT_GRPC_PORT
    weaviate_api_key: str | None = field(default=None, repr=False)
    tenant: str | None = None
    resume: bool = False

    @property
    def peak(self) -> float:
        if self.learning_rate is not None:
            return self.learning_rate
        return SCRATCH_RATE if self.model.endswith(RANDOM) else FINE_TUNING_RATE

    @property
    def work(self) -> Path:
        return self.output / WORK

    def describe(self) -> dict[str, str]:
        """What a continued training must have in common with its start, by option."""
        return {
            f"--{each.name.replace('_', '-')}": str(getattr(self, each.name))
            for each in fields(self)
            if each.name not in FREE_TO_CHANGE
        }

    @property
    def is_copy_only(self) -> bool:
        """Whether the output has nothing but copied images: the training that copied them did not begin."""
        if not self.work.is_dir():
            return False
        found = {*self.output.iterdir(), *self.work.iterdir()}
        return found <= {self.work, self.work / COPY, self.work / VALIDATION_COPY}

    def check_output(self) -> None:
        """Raises InputError for an output that exists, unless it is continued."""
        if self.resume and not self.output.is_dir():
            raise InputError(f"{self.output} does not exist: there is no training to continue; remove --resume")
        if self.resume and not self.work.is_dir():
            raise InputError(f"{self.output} contains no training; name the --output of the training to continue")
        if not self.resume and self.output.exists() and not self.is_copy_only:
            raise InputError(f"{self.output} exists; name another --output, or continue its training with --resume")


def is_collection(source: Path | None) -> bool:
    return str(source).startswith(COLLECTION)
