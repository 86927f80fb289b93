"""Loads a grounder by its name (`models.grounding.names`). Imports what it loads when it loads it."""

import logging
from pathlib import Path

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.catalog import find_local_folder
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.grounder import Grounder, RegionScorer
from clip_vectorizer.models.grounding.names import AUTO, DENSE, HEAD, NONE, TILES, explain_grounder
from clip_vectorizer.models.names import DETECTORS, OWL

logger = logging.getLogger(__name__)

HEAD_FILE = "grounding.safetensors"  # in the folder of a model


def load_grounder(name: str, encoder: Encoder) -> Grounder | None:
    """The grounder for a model; None for `none`. Raises ModelUnavailable.

    Tiles take no time. The head and other models are read here, so a wrong name ends the start of a sidecar. A head
    that does not fit the model (it was trained for other weights) is an error by its name; `auto` takes tiles then.
    """
    if name == NONE:
        return None
    model = encoder.info.model
    if name == AUTO and model.startswith(OWL):
        name = model
    if name.startswith(DETECTORS):
        return load_transformers(name, encoder)
    if name == AUTO and has_head(encoder):
        try:
            return load_trained_head(encoder)
        except ModelUnavailable as error:
            logger.warning("no head, tiles instead: %s", error)
    if name == HEAD:
        return load_trained_head(encoder)
    if name in (AUTO, TILES):
        from clip_vectorizer.models.grounding.tiles import TileGrounder

        return TileGrounder(encoder)
    if name == DENSE:
        from clip_vectorizer.models.grounding.dense import DenseGrounder

        return DenseGrounder(encoder)
    raise ModelUnavailable(f"no grounder is called {name!r}: {explain_grounder(name)}")


def choose_scorer(grounder: Grounder | None, encoder: Encoder) -> RegionScorer:
    """What compares phrases with stored regions. Their vectors are the model's, whatever finds regions in pictures.

    A trained head has a calibration for them; else the model's own scale and a background decide.
    """
    from clip_vectorizer.models.grounding.phrases import PhraseScorer

    return grounder if isinstance(grounder, RegionScorer) else PhraseScorer(encoder)


def load_transformers(name: str, encoder: Encoder) -> Grounder:
    """Load a detector of transformers, or take the one that is the sidecar's model. Its imports take seconds."""
    if name.startswith(OWL):
        return load_owl_grounder(name, encoder)
    from clip_vectorizer.models.detectors import load_detector
    from clip_vectorizer.models.grounding.fused import FusedGrounder

    return FusedGrounder(load_detector(name, encoder.info.device))


def load_owl_grounder(name: str, encoder: Encoder) -> Grounder:
    from clip_vectorizer.models.detectors import load_detector
    from clip_vectorizer.models.grounding.owl import OwlGrounder
    from clip_vectorizer.models.owl import OwlTowers

    towers = getattr(encoder, "towers", None)
    if encoder.info.model == name and isinstance(towers, OwlTowers):
        return OwlGrounder(towers, own_vectors=True)
    return OwlGrounder(OwlTowers(load_detector(name, encoder.info.device)))


def has_head(encoder: Encoder) -> bool:
    folder = find_local_folder(encoder.info.model)
    return folder is not None and (folder / HEAD_FILE).is_file()


def load_trained_head(encoder: Encoder) -> Grounder:
    if not has_head(encoder):
        raise ModelUnavailable(f"{encoder.info.model} has no trained head for regions; use --grounder tiles, or auto")
    from clip_vectorizer.models.grounding.head_file import load_head

    folder: Path = find_local_folder(encoder.info.model) or Path()
    grounder: Grounder = load_head(encoder, folder)
    return grounder
