"""A linear probe in a file, as `clip-vectorizer train linear-probe` writes it: weights, labels, model, accuracy.

L labels · D dimensions
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clip_vectorizer.database.schema import ModelIdentity, StoredModel
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.adapt.linear_probe import LinearProbe

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ProbeAccuracy:
    """What the probe reached on images that it was not fitted on."""

    right: int
    images: int
    low: float  # 95 % interval of the share
    high: float
    most_frequent: float  # share of the most frequent label: what a constant answer reaches

    def __str__(self) -> str:
        return (
            f"accuracy {self.right / self.images:.3f} [{self.low:.3f}, {self.high:.3f}] on {self.images} images held "
            f"out (always the most frequent label: {self.most_frequent:.3f})"
        )


@dataclass(frozen=True, slots=True)
class TrainedProbe:
    probe: LinearProbe
    labels: tuple[str, ...]
    model: StoredModel  # whose vectors it classifies
    accuracy: ProbeAccuracy

    def __str__(self) -> str:
        return f"{len(self.labels)} labels, {self.accuracy}, C {self.probe.strength:.3g}"

    def save(self, file: Path) -> None:
        """Write the file; numpy reads it too. Raises OSError."""
        about = {
            "format": FORMAT,
            "labels": self.labels,
            "model": asdict(self.model),
            "accuracy": asdict(self.accuracy),
            "strength": self.probe.strength,
        }
        with file.open("wb") as stream:
            text = json.dumps(about, ensure_ascii=False)
            np.savez(stream, weights_ld=self.probe.weights_ld, bias_l=self.probe.bias_l, about=np.array(text))

    @classmethod
    def load(cls, file: Path) -> "TrainedProbe":
        """Read the file. Raises InputError for another one."""
        try:
            with np.load(file, allow_pickle=False) as stored:
                about: dict[str, Any] = json.loads(str(stored["about"]))
                probe = LinearProbe(stored["weights_ld"], stored["bias_l"], float(about["strength"]))
            labels = tuple(map(str, about["labels"]))
            model, accuracy = StoredModel.from_values(about["model"]), ProbeAccuracy(**about["accuracy"])
            if probe.weights_ld.shape != (len(labels), model.dimension) or probe.bias_l.shape != (len(labels),):
                raise ValueError("weights and labels differ in number")
        except FileNotFoundError:
            raise InputError(f"{file}: no such file; `clip-vectorizer train linear-probe` writes one") from None
        except Exception as error:  # numpy, zipfile and json raise errors of their own
            reason = f"{type(error).__name__}: {error}"
            raise InputError(f"{file} is no file of `clip-vectorizer train linear-probe` ({reason})") from error
        return cls(probe, labels, model, accuracy)

    def check_model(self, info: ModelIdentity) -> None:
        """Raises Mismatch unless `info` makes the vectors that the probe was fitted on."""
        if not self.model.agrees_with(info):
            raise Mismatch(
                f"the linear probe was fitted on vectors of the model {self.model}, but the sidecar runs "
                f"{StoredModel.of(info)}: start it with the first model, or fit the probe again"
            )
