"""Names of grounders, as `--grounder` takes them. Imports nothing that takes long.

`auto`      the trained head where the model has one, else tiles
`none`      no grounder
`tiles`     tiles of the picture and the vectors of their crops, for any model
"""

AUTO, NONE, TILES = "auto", "none", "tiles"
NAMES = (AUTO, NONE, TILES)
PREFIXES: tuple[str, ...] = ()


def explain_grounder(name: str) -> str:
    """Why `name` is no name of a grounder; "" if it is one.

    >>> explain_grounder("tiles"), explain_grounder("tile")
    ('', 'expected one of auto, none, tiles')
    """
    prefix = next((each for each in PREFIXES if name.startswith(each)), "")
    if name in NAMES or (prefix and name.removeprefix(prefix).strip()):
        return ""
    paths = f", or {', '.join(f'{each}PATH-OR-HUB' for each in PREFIXES)}" if PREFIXES else ""
    return f"expected one of {', '.join(NAMES)}{paths}"
