"""Text that a terminal must not take for commands: file names, labels and captions may hold anything."""

import re

# Steers a terminal, ends a line, reverses the order of letters, or is no character.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LAYOUT = re.compile(r"([\t\n])")


def escape_line(text: str) -> str:
    r"""`text` with its control characters spelt out, line ends included.

    >>> print(escape_line("a\x1b[2J\nb"))
    a\x1b[2J\nb
    """
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def escape_text(text: str) -> str:
    r"""As `escape_line`, but tabs and line feeds stay.

    >>> print(escape_text("a\x1b[2J\nb"))
    a\x1b[2J
    b
    """
    return "".join(part if LAYOUT.fullmatch(part) else escape_line(part) for part in LAYOUT.split(text))
