"""Names of models that can be served, and suggestions for unknown ones."""

import difflib
from collections.abc import Sequence

SUGGESTIONS = 3


def suggest_names(name: str, known: Sequence[str]) -> str:
    """Return the error sentence for a name that is not in `known`.

    >>> suggest_names("emojy", ["emoji"])
    "no model is called 'emojy'; did you mean emoji? `clip-vectorizer models` lists all names"
    """
    lower = {each.lower(): each for each in known}
    close = [lower[each] for each in difflib.get_close_matches(name.lower(), lower, SUGGESTIONS, cutoff=0.5)]
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    return f"no model is called {name!r}; {meant}`clip-vectorizer models` lists all names"


def list_open_clip_names() -> list[str]:
    """Return `ARCHITECTURE::TAG` for open_clip's pretrained models. Imports open_clip, which takes seconds."""
    import open_clip

    return [f"{architecture}::{tag}" for architecture, tag in open_clip.list_pretrained()]


def list_served_names() -> list[str]:
    """Return the bundled model, all pretrained models, and every architecture with random weights."""
    import open_clip

    return ["emoji", *list_open_clip_names(), *(f"{name}::random" for name in open_clip.list_models())]
