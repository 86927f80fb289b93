"""Names of models, and what each means. No torch here: it is imported when a model is loaded.

`emoji`                 ours, bundled
`ARCHITECTURE::TAG`     as open_clip lists them, for example `ViT-B-32::openai`
`ARCHITECTURE::random`  no training at all, for load tests only
`hf-hub:ORG/NAME`       a repository of open_clip's layout on the Hugging Face hub
`local-dir:PATH`        a folder of open_clip's layout
a path                  a checkpoint file; its architecture is named beside it
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.encoder import Encoder

if TYPE_CHECKING:
    from clip_vectorizer.models.placement import Placement

EMOJI = "emoji"
EMOJI_FOLDER = Path(__file__).parent / "emoji"
RANDOM = "random"
HUB, LOCAL = "hf-hub:", "local-dir:"


@dataclass(frozen=True, slots=True)
class ModelName:
    text: str
    architecture: str = ""  # of a checkpoint file


def load_encoder(name: ModelName, placement: "Placement") -> Encoder:
    """Raises ModelUnavailable, SettingsError."""
    from clip_vectorizer.models.folder import load_folder

    placement.check()
    if name.text == EMOJI:
        return load_folder(name.text, EMOJI_FOLDER, placement)
    if name.text.startswith(LOCAL):
        return load_folder(name.text, Path(name.text.removeprefix(LOCAL)), placement)
    from clip_vectorizer.models import openclip

    if name.text.startswith(HUB):
        return openclip.load_hub(name.text, placement)
    if "::" in name.text:
        architecture, _, tag = name.text.partition("::")
        return openclip.load_tag(architecture, tag, placement)
    if Path(name.text).is_file():
        return openclip.load_checkpoint(Path(name.text), name.architecture, placement)
    raise ModelUnavailable(openclip.unknown(name.text))
