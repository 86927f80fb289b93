"""Loads a grounder by its name (`models.grounding.names`). No torch until one is loaded that needs it."""

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.grounder import Grounder
from clip_vectorizer.models.grounding.names import AUTO, NONE, TILES, explain_grounder


def load_grounder(name: str, encoder: Encoder) -> Grounder | None:
    """The grounder for a model; None for `none`. Raises ModelUnavailable."""
    if name == NONE:
        return None
    if name in (AUTO, TILES):
        from clip_vectorizer.models.grounding.tiles import TileGrounder

        return TileGrounder(encoder)
    raise ModelUnavailable(f"no grounder is called {name!r}: {explain_grounder(name)}")
