"""The headers of a tar file, with an end where it ends and nowhere else."""

import tarfile
from collections.abc import Iterator
from typing import BinaryIO, Literal

MAX_HEADER_BYTES = 1_000_000  # of a long name or of PAX fields, which tarfile reads into memory
BEFORE_A_MEMBER = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
CHUNK_BYTES = 1_000_000


class StrictInfo(tarfile.TarInfo):
    """tarfile takes whatever is no header for the end of the archive; here only the end mark ends it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "StrictInfo":
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) < tarfile.BLOCKSIZE:
                raise tarfile.ReadError("cut off") from error
            if any(buf):
                raise tarfile.ReadError(f"no tar file, or a broken one: {error}") from error
            raise
        if info.size < 0 or (info.type in BEFORE_A_MEMBER and info.size > MAX_HEADER_BYTES):
            raise tarfile.ReadError(f"a header says {info.size} bytes")
        return info


def open_tar(file: BinaryIO, mode: Literal["r:", "r|"]) -> tarfile.TarFile:
    """Names that are no UTF-8 have surrogates in them."""
    return tarfile.open(
        fileobj=file, mode=mode, bufsize=CHUNK_BYTES, tarinfo=StrictInfo, encoding="utf-8", errors="surrogateescape"
    )


def headers(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Raises ReadError, and whatever else tarfile does, where the archive is broken."""
    before = -1
    while (info := tar.next()) is not None:
        if tar.offset <= before:  # a PAX header may set a size below 0
            raise tarfile.ReadError("a header points backwards")
        before = tar.offset
        tar.members.clear()  # type: ignore[attr-defined] # it would remember them all
        yield info
