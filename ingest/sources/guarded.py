"""A file read by a library in C, whose calls back into Python must not raise."""

import io
from typing import BinaryIO


class Guarded(io.RawIOBase):
    """Seems to end where reading fails; `raise_problem` tells why."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._problem: Exception | None = None

    def raise_problem(self) -> None:
        problem, self._problem = self._problem, None
        if problem:
            raise problem

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except Exception as error:
            self._problem = self._problem or error
            return 0

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._file.read(len(buffer))
        except Exception as error:
            self._problem = self._problem or error
            return 0
        memoryview(buffer).cast("B")[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
