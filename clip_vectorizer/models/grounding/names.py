"""Names of grounders, as `--grounder` takes them. Imports nothing that takes long.

`auto`                    the trained head where the model has one, else tiles
`none`                    no grounder
`head`                    the trained head of the bundled model
`tiles`                   tiles of the picture and the vectors of their crops, for any model
`dense`                   the last block of a ViT, patch by patch; experimental
`owlv2:PATH-OR-HUB`       OWLv2 of transformers; also `owlvit:`
`grounding-dino:...`      Grounding DINO of transformers, only with phrases; also `mm-grounding-dino:`, `omdet-turbo:`
"""

from clip_vectorizer.models.names import DETECTORS

AUTO, NONE, HEAD, TILES, DENSE = NAMES = ("auto", "none", "head", "tiles", "dense")


def explain_grounder(name: str) -> str:
    """Why `name` is no name of a grounder; "" if it is one.

    >>> explain_grounder("tiles"), explain_grounder("owlv2:models/owl")
    ('', '')
    >>> explain_grounder("owlv2:")
    'owlv2: has nothing after it; expected owlv2:PATH-OR-HUB, a folder or a repository on the hub'
    """
    prefix = next((each for each in DETECTORS if name.startswith(each)), "")
    if name in NAMES or name.removeprefix(prefix).strip() not in ("", name):
        return ""
    if prefix:
        return f"{prefix} has nothing after it; expected {prefix}PATH-OR-HUB, a folder or a repository on the hub"
    kinds = ", ".join(each.removesuffix(":") for each in DETECTORS)
    return f"expected one of {', '.join(NAMES)}, or KIND:PATH-OR-HUB with the kind {kinds}"
