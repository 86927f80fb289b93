"""Loads a captioner by its name (`models.captioning.names`). Imports what it loads when it loads it."""

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.captioning.captioner import Captioner
from clip_vectorizer.models.captioning.names import COCA, NONE, TRANSFORMERS, explain_captioner


def load_captioner(name: str, device: str) -> Captioner | None:
    """The captioner on `device`, `cpu` or `cuda:0`; None for `none`. Raises ModelUnavailable. Takes seconds."""
    if name == NONE:
        return None
    if reason := explain_captioner(name):
        raise ModelUnavailable(f"no captioner is called {name!r}: {reason}")
    if name.startswith(COCA):
        from clip_vectorizer.models.captioning.coca import load_coca

        return load_coca(name, name.removeprefix(COCA), device)
    from clip_vectorizer.models.captioning.image_text import load_image_text

    return load_image_text(name, name.removeprefix(TRANSFORMERS), device)
