"""Whether weights fit an architecture, found out before memory is taken for a model of it."""

import math
import warnings
from pathlib import Path

import open_clip
import torch
from torch import nn

from clip_vectorizer.models.facts import load_facts
from clip_vectorizer.models.load_problems import RANDOM_WEIGHTS_WARNING, hide_warning
from clip_vectorizer.models.state_dicts import adapt_weights, check_tensors
from clip_vectorizer.models.text_towers import describe_text_tower
from clip_vectorizer.models.weight_files import Weights

SLACK = 0.01  # of the count: buffers of a batch norm are in a file, and in no count


def check_fit(file: Path, architecture: str, weights: Weights, transformers: bool) -> None:
    """Raise ModelUnavailable where `weights` are of another size than open_clip's `architecture`, and do not fit it.

    Only then a model is built on `meta`, without memory: that device imports torch's compiler, seconds of work. Weights
    of the right size are checked when they are copied. `transformers`: whether they were converted from its layout.
    """
    expected = count_expected(architecture)
    if expected is None or math.isclose(count_numbers(weights), expected, rel_tol=SLACK):
        return
    try:
        model = build_on_meta(architecture)
    except Exception:  # some towers compute while they are built; the model is then built as usual
        return
    check_tensors(model, adapt_weights(model, weights), file, architecture, transformers)


def count_expected(architecture: str) -> int | None:
    """Return the number of parameters as it was counted on a built model; None for an architecture that was added."""
    counted = load_facts()["architectures"].get(architecture)
    return int(counted["parameters"]) if counted else None


def count_numbers(weights: Weights) -> int:
    return sum(value.numel() for value in weights.values())


def build_on_meta(architecture: str) -> nn.Module:
    """Return a model of names and shapes alone."""
    with (
        warnings.catch_warnings(),
        hide_warning(RANDOM_WEIGHTS_WARNING),
        describe_text_tower(architecture) as text_config,
        torch.device("meta"),
    ):
        warnings.simplefilter("ignore")  # of initial values that are not computed
        model: nn.Module = open_clip.create_model(architecture, device="meta", pretrained_text=False, **text_config)
    return model
