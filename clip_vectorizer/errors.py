"""Every error this project raises on purpose. The message says what, where, and what to do.

VectorizerError                     exit code 1
├── SettingsError                   a setting or an environment variable cannot be used
├── ModelUnavailable                a model cannot be found or loaded
├── RequestRefused                  the sidecar refuses one request; `status` is the HTTP answer
│   ├── UnreadableImage             422, names the index
│   ├── TooLarge                    413: bytes, pixels or items over a limit
│   ├── BadRequest                  400: the body is not what the protocol says
│   ├── Unauthorised                401: no key, or a wrong one
│   ├── NotServed                   404 or 405: no such path, method or model
│   ├── SlowBody                    408: the body did not arrive in time
│   └── Overloaded                  503: the queue is full, or the deadline passed
├── ImageRefused                    422 or 413: one image's bytes, told before anybody knows its index
├── EncoderFailed                   500: the model itself failed
├── DeviceLost                      no batch can run on the device any more: the process must end
├── Unreachable                     exit code 4
│   ├── SidecarUnreachable
│   └── WeaviateUnreachable
├── SidecarRefused                  what a client makes of an error answer of the sidecar
├── Mismatch                        exit code 5: another model or another schema; vectors must not mix
├── InputError                      exit code 2: what the user named cannot be used (no such file, an empty query)
├── StackError                      Weaviate cannot be found, built or started
└── TrainingDataError               the drawings or names to learn from are not there
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

IMAGE_FORMATS = "JPEG, PNG, WebP, GIF, BMP or TIFF file"


class VectorizerError(Exception):
    """Base of all; `exit_code` is what a command ends with."""

    exit_code: ClassVar[int] = 1


class SettingsError(VectorizerError):
    exit_code = 2


class ModelUnavailable(VectorizerError):
    pass


class RequestRefused(VectorizerError):
    """`refused`: all images that cannot be read, by index, with a sentence each: the others may be sent again."""

    status: int = 400
    refused: Mapping[int, str] = MappingProxyType({})


class BadRequest(RequestRefused):
    pass


class UnreadableImage(RequestRefused):
    status = 422

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"images[{index}]: {reason}; send base64 of a {IMAGE_FORMATS}")
        self.index = index
        self.reason = reason


class TooLarge(RequestRefused):
    status = 413


class Overloaded(RequestRefused):
    status = 503


class Unauthorised(RequestRefused):
    status = 401


class NotServed(RequestRefused):
    def __init__(self, status: int, sentence: str, methods: tuple[str, ...] = ()) -> None:
        """`methods` that the path takes instead."""
        super().__init__(sentence)
        self.status = status
        self.methods = methods


class SlowBody(RequestRefused):
    status = 408


class ImageRefused(VectorizerError):
    """What is wrong with one image, for whoever knows its place to put `images[3]: ` before it.

    422: unreadable, `UnreadableImage(index, reason)` makes the whole sentence. 413: too many pixels, `reason` is one.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    @property
    def about_it(self) -> str:
        """The whole sentence for whoever knows which image is meant."""
        return self.reason if self.status == TooLarge.status else f"{self.reason}; it must be a {IMAGE_FORMATS}"


class EncoderFailed(VectorizerError):
    pass


class DeviceLost(VectorizerError):
    pass


class Unreachable(VectorizerError):
    exit_code = 4


class SidecarUnreachable(Unreachable):
    pass


class WeaviateUnreachable(Unreachable):
    pass


class SidecarRefused(VectorizerError):
    """The sidecar answered with an error; `status` is its HTTP status, `refused` as in RequestRefused."""

    def __init__(self, status: int, message: str, refused: Mapping[int, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.refused = refused or {}


class Mismatch(VectorizerError):
    exit_code = 5


class InputError(VectorizerError):
    exit_code = 2


class StackError(VectorizerError):
    pass


class TrainingDataError(VectorizerError):
    pass
