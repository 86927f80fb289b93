"""Names of models that can be served, and suggestions for unknown ones."""

from collections.abc import Sequence

EMOJI = "emoji"
HUB, LOCAL = "hf-hub:", "local-dir:"
SUGGESTIONS, NEAR = 3, 20  # of names in a sentence, and of those that are compared more closely
TAIYI, CHINESE_CLIP = "taiyi:", "chinese-clip:"
CHINESE = (TAIYI, CHINESE_CLIP)
OWL = ("owlv2:", "owlvit:")
DETECTORS = (*OWL, "grounding-dino:", "mm-grounding-dino:", "omdet-turbo:")  # before the colon: their `model_type`
TAG = "::"

# OpenAI's names of its models, as `clip.available_models()` has them; each is a file of weights, so each has one tag.
OPENAI_NAMES = {
    "RN50": "RN50::openai",
    "RN101": "RN101::openai",
    "RN50x4": "RN50x4::openai",
    "RN50x16": "RN50x16::openai",
    "RN50x64": "RN50x64::openai",
    "ViT-B/32": "ViT-B-32::openai",
    "ViT-B/16": "ViT-B-16::openai",
    "ViT-L/14": "ViT-L-14::openai",
    "ViT-L/14@336px": "ViT-L-14-336::openai",
}


def resolve_name(text: str) -> str:
    """Return the name under which a model is loaded and recorded; OpenAI's names become open_clip's.

    A collection records the name of its model, so two spellings of one model must give one name.

    >>> resolve_name("ViT-L/14@336px"), resolve_name("ViT-L/14@336px::openai"), resolve_name("ViT-B-32::openai")
    ('ViT-L-14-336::openai', 'ViT-L-14-336::openai', 'ViT-B-32::openai')
    """
    architecture, tagged, tag = text.partition(TAG)
    known = OPENAI_NAMES.get(architecture)
    if known and not tagged:
        return known
    return f"{known.partition(TAG)[0]}{TAG}{tag}" if known else text


def suggest_names(name: str, known: Sequence[str]) -> str:
    """Return the error sentence for a name that is not in `known`.

    >>> suggest_names("emojy", ["emoji"])
    "no model is called 'emojy'; did you mean emoji? `clip-vectorizer models` lists all names"
    """
    return f"no model is called {name!r}; {suggest_near_names(name, known)}`clip-vectorizer models` lists all names"


def suggest_near_names(name: str, known: Sequence[str]) -> str:
    """Return the names that were probably meant, as part of a sentence; "" where none is near.

    >>> suggest_near_names("ViT-B-23", ["RN50", "ViT-B-16", "ViT-B-32"])
    'did you mean ViT-B-32 or ViT-B-16? '
    """
    near = find_near_names(name, known)
    return f"did you mean {' or '.join(near)}? " if near else ""


def find_near_names(name: str, known: Sequence[str]) -> list[str]:
    """Return the nearest names, at most SUGGESTIONS; none where more than a third of the letters differ.

    Of equally near ones those first that keep the most letters in order: two swapped digits are a slip.
    """
    from rapidfuzz.distance import Indel  # late, with numpy: commands start without them

    from clip_vectorizer.near_strings import max_edits, similar_strings

    lower = {each.lower(): each for each in known}
    similar = similar_strings(name.lower(), list(lower), NEAR)
    least = min((each.distance for each in similar), default=0)
    near = [each.text for each in similar if each.distance == least <= max_edits(name)]
    return [lower[each] for each in sorted(near, key=lambda each: Indel.distance(name.lower(), each))[:SUGGESTIONS]]


def resolve_architecture(text: str) -> str:
    """Return open_clip's name of an architecture; one of OpenAI's transformers gets OpenAI's activation.

    `RN50` and its like are open_clip's names already, where they have GELU; `RN50-quickgelu` is OpenAI's.

    >>> resolve_architecture("ViT-B/32"), resolve_architecture("ViT-B-32"), resolve_architecture("RN50")
    ('ViT-B-32-quickgelu', 'ViT-B-32', 'RN50')
    """
    known = OPENAI_NAMES.get(text, text).partition(TAG)[0]
    return known if known == text else f"{known}-quickgelu"


def list_open_clip_names() -> list[str]:
    """Return `ARCHITECTURE::TAG` for open_clip's pretrained models. Imports open_clip, which takes seconds."""
    import open_clip

    return [f"{architecture}::{tag}" for architecture, tag in open_clip.list_pretrained()]
