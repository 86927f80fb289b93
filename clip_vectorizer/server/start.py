"""From settings to a loaded encoder."""

from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.server.settings import Settings


def load_as_set(settings: Settings) -> Encoder:
    """Raises ModelUnavailable, SettingsError. Imports torch, which takes seconds."""
    from clip_vectorizer.models.placement import Placement

    placement = Placement(settings.device, settings.precision, settings.threads)
    return load_encoder(ModelName(settings.model, settings.architecture), placement)
