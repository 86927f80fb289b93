"""Names of captioners, as `--captioner` takes them. Imports nothing that takes long.

`none`                        no captioner
`coca:ARCHITECTURE::TAG`      CoCa, as open_clip lists it: coca_ViT-B-32::mscoco_finetuned_laion2b_s13b_b90k
`coca:PATH`                   CoCa, a folder of open_clip's layout
`transformers:PATH-OR-HUB`    BLIP or Florence-2, a folder or repository of transformers' layout
"""

NONE = "none"
COCA, TRANSFORMERS = CAPTIONERS = ("coca:", "transformers:")
EXPECTED = {COCA: "coca:ARCHITECTURE::TAG or coca:PATH", TRANSFORMERS: "transformers:PATH-OR-HUB"}


def explain_captioner(name: str) -> str:
    """Why `name` is no name of a captioner; "" if it is one.

    >>> explain_captioner("none"), explain_captioner("transformers:models/blip")
    ('', '')
    >>> explain_captioner("coca:")
    'coca: has nothing after it; expected coca:ARCHITECTURE::TAG or coca:PATH'
    """
    prefix = next((each for each in CAPTIONERS if name.startswith(each)), "")
    if name == NONE or (prefix and name.removeprefix(prefix).strip()):
        return ""
    if prefix:
        return f"{prefix} has nothing after it; expected {EXPECTED[prefix]}"
    return f"expected {NONE}, {' or '.join(EXPECTED.values())}"
