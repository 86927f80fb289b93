"""Sections of a page that scripts write: `<!-- NAME: begin; COMMAND -->`, then text, then `<!-- NAME: end -->`.

Everything else on a page is written by hand and stays; so does a section of another script.
"""

import re
from collections.abc import Mapping

SECTION = re.compile(r"(<!-- ([\w-]+): begin\b[^\n]*-->\n)(.*?)(<!-- \2: end -->)", re.DOTALL)


def fill_sections(text: str, contents: Mapping[str, str]) -> str:
    """Return the page `text` with the sections named in `contents` replaced; names that it lacks are ignored.

    >>> fill_sections("a\\n<!-- size: begin -->\\nold\\n<!-- size: end -->\\nz", {"size": "new"})
    'a\\n<!-- size: begin -->\\n\\nnew\\n\\n<!-- size: end -->\\nz'
    """

    def fill(found: re.Match[str]) -> str:
        begin, name, _, end = found.groups()
        return f"{begin}\n{contents[name].strip()}\n\n{end}" if name in contents else found[0]

    return SECTION.sub(fill, text)


def list_sections(text: str) -> list[str]:
    return [found[2] for found in SECTION.finditer(text)]
