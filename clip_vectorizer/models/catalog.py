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
from clip_vectorizer.models.names import near, open_clip_names

if TYPE_CHECKING:
    from clip_vectorizer.models.placement import Placement

EMOJI = "emoji"
EMOJI_FOLDER = Path(__file__).parent / "emoji"
HUB, LOCAL, TAG = "hf-hub:", "local-dir:", "::"


@dataclass(frozen=True, slots=True)
class ModelName:
    text: str
    architecture: str = ""  # of a checkpoint file


def load_encoder(name: ModelName, placement: "Placement") -> Encoder:
    """Raises ModelUnavailable, SettingsError."""
    placement.check()
    if folder := folder_of(name.text):
        from clip_vectorizer.models.folder import load_folder

        return load_folder(name.text, folder, placement)
    return load_by_open_clip(name, placement)


def folder_of(text: str) -> Path | None:
    if text == EMOJI:
        return EMOJI_FOLDER
    return Path(text.removeprefix(LOCAL)).expanduser() if text.startswith(LOCAL) else None


def load_by_open_clip(name: ModelName, placement: "Placement") -> Encoder:
    from clip_vectorizer.models import openclip

    if name.text.startswith(HUB):
        return openclip.load_hub(name.text, placement)
    if TAG in name.text:
        architecture, _, tag = name.text.partition(TAG)
        return openclip.load_tag(architecture, tag, placement)
    file = Path(name.text).expanduser()
    if file.is_file():
        return openclip.load_checkpoint(file, name.architecture, placement)
    raise ModelUnavailable(near(name.text, [EMOJI, *open_clip_names()]))
