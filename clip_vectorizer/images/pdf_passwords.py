"""Passwords of encrypted PDF files. Imports nothing of PDFium, so that options are read without it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from stringprep import in_table_b1, in_table_c12
from unicodedata import normalize

from clip_vectorizer.errors import InputError


@dataclass(frozen=True, slots=True)
class PdfPassword:
    """A secret: neither its `repr` nor a stamp contains it."""

    value: str = field(repr=False)

    def list_forms(self) -> Sequence[str]:
        """Return the password as typed, and as PDF 2.0 normalizes it (SASLprep, RFC 4013) if that differs."""
        mapped = "".join(" " if in_table_c12(each) else each for each in self.value if not in_table_b1(each))
        return list(dict.fromkeys((self.value, normalize("NFKC", mapped))))


def parse_passwords(texts: Iterable[str]) -> tuple[PdfPassword, ...]:
    """Values of --pdf-password. Raises InputError for an empty one."""
    found = tuple(PdfPassword(text) for text in texts)
    if any(not each.value for each in found):
        raise InputError("--pdf-password is empty (an unset variable?); remove it, or name a password")
    return found
