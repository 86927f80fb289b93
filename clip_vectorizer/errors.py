"""Every error that this project raises on purpose. The message states what is wrong, where, and what to do.

VectorizerError                     exit code 1
├── SettingsError                   exit code 2: a setting or an environment variable is invalid
├── ModelUnavailable                a model cannot be found or loaded
├── RequestRefused                  the sidecar rejects one request; `status` is the HTTP status
│   ├── UnreadableImage             422, with the position of the image
│   ├── TooLarge                    413: bytes, pixels or items over a limit
│   ├── BadRequest                  400: the body does not follow the protocol
│   ├── Unauthorised                401: no key, or a wrong one
│   ├── NotServed                   404 or 405: no such path, method or model
│   ├── SlowBody                    408: the body did not arrive in time
│   ├── NoGrounder                  501: the sidecar finds no regions, or none without phrases
│   ├── NoCaptioner                 501: the sidecar writes no captions
│   ├── NoTexts                     501: the sidecar's model has no text tower
│   └── Overloaded                  503: the queue is full, or the deadline passed
├── ImageRefused                    422 or 413: what is wrong with one image, without its position
├── ItemRefused                     one item of a request has no vector, as values; a route makes its sentence
├── EncoderFailed                   500: the model itself failed
├── DeviceLost                      the device can run no further batch: the process must end
├── Unreachable                     exit code 4
│   ├── SidecarUnreachable
│   └── WeaviateUnreachable
├── SidecarRefused                  an error response of the sidecar, as a client raises it
├── Mismatch                        exit code 5: another model or another schema; vectors must not mix
├── InputError                      exit code 2: what the user named cannot be used (no such file, an empty query)
│   └── AddressRefused              the server of an image is in a network that is not allowed
├── StackError                      Weaviate cannot be found, built or started
├── TrainingDataError               the drawings or names to learn from are missing
├── TrainingDiverged                the loss is no longer a number
└── TrainingProcessFailed           one of several processes that train together
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

IMAGE_FORMATS = "JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file"


class VectorizerError(Exception):
    """Base class of all errors; `exit_code` is the exit code of a command that ends with it."""

    exit_code: ClassVar[int] = 1


class SettingsError(VectorizerError):
    exit_code = 2


class ModelUnavailable(VectorizerError):
    pass


@dataclass(frozen=True, slots=True)
class ItemProblem:
    """What is wrong with one item of a request. `str()` is the sentence.

    >>> str(ItemProblem("images", 3, "not base64"))
    'images[3]: not base64'
    """

    field: str  # of the request's body: texts, images, or input
    index: int
    reason: str  # what is wrong, and what to send instead

    def __str__(self) -> str:
        return f"{self.field}[{self.index}]: {self.reason}"


class RequestRefused(VectorizerError):
    """`problem` is what is wrong with one item. `refused` has a reason for each unreadable image, by index.

    All images that `refused` does not list may be sent again.
    """

    status: int = 400
    problem: ItemProblem | None = None
    refused: Mapping[int, str] = MappingProxyType({})


class BadRequest(RequestRefused):
    pass


class UnreadableImage(RequestRefused):
    status = 422


class TooLarge(RequestRefused):
    status = 413


class Overloaded(RequestRefused):
    status = 503


class Unauthorised(RequestRefused):
    status = 401


class NotServed(RequestRefused):
    def __init__(self, status: int, message: str, methods: tuple[str, ...] = ()) -> None:
        """`methods` are those that the path accepts."""
        super().__init__(message)
        self.status = status
        self.methods = methods


class SlowBody(RequestRefused):
    status = 408


class NoGrounder(RequestRefused):
    status = 501


class NoCaptioner(RequestRefused):
    status = 501


class NoTexts(RequestRefused):
    status = 501

    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model} is an image-only model: it has vectors of images and none of texts; search by image, or start a "
            "sidecar with a CLIP for texts"
        )


class ImageRefused(VectorizerError):
    """What is wrong with one image. The caller adds its position.

    `status` is 422 for an unreadable file and 413 for too many pixels; only `reason` of the latter is a whole sentence.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    def explain(self, hint: str) -> str:
        """The whole sentence; `hint` is what to send instead of an unreadable file.

        >>> ImageRefused(422, "0 bytes").explain("send a JPEG file")
        '0 bytes; send a JPEG file'
        """
        return self.reason if self.status == TooLarge.status else f"{self.reason}; {hint}"


class EncoderFailed(VectorizerError):
    """`problem` is set where the model failed for one item of a request."""

    problem: ItemProblem | None = None


class ItemRefused(VectorizerError):
    """The first item of a request without a vector, as values: each route makes its own sentence of them.

    `refused` has what is wrong with each unreadable image, by index.
    """

    def __init__(
        self, field: str, index: int, error: ImageRefused | EncoderFailed, refused: Mapping[int, ImageRefused]
    ) -> None:
        super().__init__(f"{field}[{index}]: {error}")
        self.field = field
        self.index = index
        self.error = error
        self.refused = refused


class DeviceLost(VectorizerError):
    pass


class Unreachable(VectorizerError):
    exit_code = 4


class SidecarUnreachable(Unreachable):
    pass


class WeaviateUnreachable(Unreachable):
    pass


class SidecarRefused(VectorizerError):
    """The sidecar returned an error; `status` is its HTTP status, `problem` and `refused` as in RequestRefused."""

    def __init__(
        self,
        status: int,
        message: str,
        refused: Mapping[int, str] | None = None,
        problem: ItemProblem | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.refused = refused or {}
        self.problem = problem


class Mismatch(VectorizerError):
    exit_code = 5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A name that does not exist, and the one that was probably meant.

    >>> str(Suggestion("fruti", "fruit"))
    'did you mean fruit? '
    """

    given: str
    meant: str

    def __str__(self) -> str:
        return f"did you mean {self.meant}? "


class InputError(VectorizerError):
    """`suggestion` is set where a name does not exist and a near one does; the message has it too."""

    exit_code = 2

    def __init__(self, message: str, suggestion: Suggestion | None = None) -> None:
        super().__init__(message)
        self.suggestion = suggestion


class PdfPasswordNeeded(InputError):
    """A PDF file that no given password opens."""


class AddressRefused(InputError):
    """`address` is the numeric one, "" where it is unknown; `kind` is what is wrong with it."""

    def __init__(self, host: str, address: str, kind: str) -> None:
        where = f"is at {address}, {kind}" if address and address != host else f"is {kind}"
        super().__init__(
            f"{host} {where}; only public addresses are opened, and those that you allow: --allow-address {host}"
        )
        self.host, self.address, self.kind = host, address, kind


class StackError(VectorizerError):
    pass


class TrainingDataError(VectorizerError):
    pass


class TrainingDiverged(VectorizerError):
    pass


class TrainingProcessFailed(VectorizerError):
    def __init__(self, rank: int, reason: str) -> None:
        super().__init__(
            f"process {rank} of the training failed, so all of them end: {reason}; use --resume to continue"
        )
        self.rank, self.reason = rank, reason
