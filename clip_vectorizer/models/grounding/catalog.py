"""Loads a grounder by its name (`models.grounding.names`). Imports what it loads when it loads it."""

from pathlib import Path

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.catalog import find_local_folder
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.grounder import Grounder
from clip_vectorizer.models.grounding.names import AUTO, DENSE, DETECTORS, HEAD, NONE, OWL, TILES, explain_grounder

HEAD_FILE = "grounding.safetensors"  # in the folder of a model


def load_grounder(name: str, encoder: Encoder) -> Grounder | None:
    """The grounder for a model; None for `none`. Raises ModelUnavailable.

    Tiles take no time. The head and other models are read here, so a wrong name ends the start of a sidecar.
    """
    if name == NONE:
        return None
    if name.startswith(DETECTORS):
        return load_transformers(name, encoder)
    if name == HEAD or (name == AUTO and has_head(encoder)):
        return load_trained_head(encoder)
    if name in (AUTO, TILES):
        from clip_vectorizer.models.grounding.tiles import TileGrounder

        return TileGrounder(encoder)
    if name == DENSE:
        from clip_vectorizer.models.grounding.dense import DenseGrounder

        return DenseGrounder(encoder)
    raise ModelUnavailable(f"no grounder is called {name!r}: {explain_grounder(name)}")


def load_transformers(name: str, encoder: Encoder) -> Grounder:
    """Load a detector of transformers. Importing its code takes seconds."""
    from clip_vectorizer.models.grounding.detectors import load_detector

    detector = load_detector(name, encoder.info.device)
    if name.startswith(OWL):
        from clip_vectorizer.models.grounding.owl import OwlGrounder

        return OwlGrounder(detector)
    from clip_vectorizer.models.grounding.fused import FusedGrounder

    return FusedGrounder(detector)


def has_head(encoder: Encoder) -> bool:
    folder = find_local_folder(encoder.info.model)
    return folder is not None and (folder / HEAD_FILE).is_file()


def load_trained_head(encoder: Encoder) -> Grounder:
    if not has_head(encoder):
        raise ModelUnavailable(f"{encoder.info.model} has no trained head for regions; use --grounder tiles, or auto")
    from clip_vectorizer.models.grounding.head import load_head

    folder: Path = find_local_folder(encoder.info.model) or Path()
    grounder: Grounder = load_head(encoder, folder)
    return grounder
