"""Names of models, and how each is loaded. torch is imported only when a model is loaded.

`emoji`                 the bundled model
`ARCHITECTURE::TAG`     as open_clip lists them, for example `ViT-B-32::openai`
`ViT-B/32`, `RN50x4`    OpenAI's nine models, by OpenAI's names
`ARCHITECTURE::random`  random weights, for load tests only
`taiyi:TEXT,IMAGE`      Taiyi's two towers, folders or repositories of transformers' layout
`chinese-clip:PATH`     Chinese-CLIP, a folder or repository of transformers' layout, or a file of cn_clip
`owlv2:PATH`            OWLv2, also `owlvit:`; a folder or repository of transformers' layout, for regions
`hf-hub:ORG/NAME`       a repository of open_clip's layout on the Hugging Face hub
`local-dir:PATH`        a folder of open_clip's layout, or of transformers'
a path                  a checkpoint file; its architecture is given separately
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clip_vectorizer.errors import ModelUnavailable, SettingsError
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.name_problems import check_name, explain_name
from clip_vectorizer.models.names import CHINESE, EMOJI, HUB, LOCAL, OWL, TAG, TAIYI, resolve_architecture, resolve_name

if TYPE_CHECKING:
    from clip_vectorizer.models.devices import Placement

EMOJI_DIRECTORY = Path(__file__).parent / "emoji"


@dataclass(frozen=True, slots=True)
class ModelName:
    text: str
    architecture: str = ""  # of a checkpoint file
    attend_padding: int = 0  # tokens, of Taiyi's texts


def load_encoders(name: ModelName, placement: "Placement") -> list[Encoder]:
    """Return one encoder per device of `placement.device` (`cpu`, `cuda:0,cuda:1`, `cuda:all`), of equal revision.

    The weights are read once and copied. Raises ModelUnavailable, SettingsError.
    """
    from clip_vectorizer.models.devices import parse_devices
    from clip_vectorizer.models.torch_encoder import TorchEncoder

    places = [replace(placement, device=device) for device in parse_devices(placement.device)]
    first = load_encoder(name, places[0])
    if isinstance(first, TorchEncoder):
        return [first, *(first.on(place.device) for place in places[1:])]
    return [first, *(load_encoder(name, place) for place in places[1:])]


def load_encoder(name: ModelName, placement: "Placement") -> Encoder:
    """Load one encoder on the device of `placement`. Raises ModelUnavailable, SettingsError."""
    check_name(name.text)
    placement.check()
    if name.attend_padding and not name.text.startswith(TAIYI):
        raise SettingsError(f"CLIP_ATTEND_PADDING='{name.attend_padding}' is for {TAIYI} models, not for {name.text}")
    if folder := find_local_folder(name.text):
        from clip_vectorizer.models.local_dir import load_folder

        return load_folder(name.text, folder, placement)
    if name.text.startswith(CHINESE):
        from clip_vectorizer.models.chinese import load_chinese  # takes seconds to import

        return load_chinese(name.text, placement, name.attend_padding)
    if name.text.startswith(OWL):
        from clip_vectorizer.models.owl import load_owl  # takes seconds to import

        return load_owl(name.text, placement)
    return load_open_clip(name, placement)


def find_local_folder(text: str) -> Path | None:
    if text == EMOJI:
        return EMOJI_DIRECTORY
    return Path(text.removeprefix(LOCAL)).expanduser() if text.startswith(LOCAL) else None


def load_open_clip(name: ModelName, placement: "Placement") -> Encoder:
    from clip_vectorizer.models import openclip

    if name.text.startswith(HUB):
        return openclip.load_hub(name.text, placement)
    text = resolve_name(name.text)
    if TAG in text:
        architecture, _, tag = text.partition(TAG)
        return openclip.load_tag(architecture, tag, placement)
    file = Path(name.text).expanduser()
    if file.is_file():
        return openclip.load_checkpoint(file, resolve_architecture(name.architecture), placement)
    raise ModelUnavailable(explain_name(name.text, file))
