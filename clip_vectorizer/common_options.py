"""Click options that several commands share: of the connections, the collection and the output."""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from clip_vectorizer.defaults import DEFAULT_GRPC_PORT, DEFAULT_URL, DEFAULT_VECTORIZER_URL, IMAGE_COLLECTION
from clip_vectorizer.errors import SettingsError
from clip_vectorizer.secret_files import read_secret

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

WEAVIATE_OPTIONS = ("--weaviate-url", "--weaviate-grpc-port", "--weaviate-api-key")
VECTORIZER_OPTIONS = ("--vectorizer-url", "--vectorizer-api-key")


class SecretOption(click.Option):
    """An option whose environment variable NAME may be replaced by NAME_FILE, the path of a file with the value."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        try:
            return read_secret(os.environ, str(self.envvar)) or None
        except SettingsError as error:
            raise click.UsageError(str(error), ctx) from error


class PasswordType(click.types.StringParamType):
    """A text; a variable may have several, one a line, because a password may have spaces."""

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return [line for line in rv.splitlines() if line]


def weaviate_options(command: CommandT) -> CommandT:
    """Adds --weaviate-url, --weaviate-grpc-port and --weaviate-api-key (`weaviate_url`, ... in the function)."""
    for option in (api_key_option, grpc_port_option, url_option):  # the last one applied is the first one in --help
        command = option(command)
    return command


url_option = click.option(
    "--weaviate-url",
    envvar="WEAVIATE_URL",
    default=DEFAULT_URL,
    metavar="URL",
    show_default=True,
    show_envvar=True,
    help="Weaviate's HTTP address.",
)
grpc_port_option = click.option(
    "--weaviate-grpc-port",
    envvar="WEAVIATE_GRPC_PORT",
    type=click.IntRange(1, 65535),
    default=DEFAULT_GRPC_PORT,
    metavar="PORT",
    show_default=True,
    show_envvar=True,
    help="Weaviate's gRPC port, on the same host.",
)
api_key_option = click.option(
    "--weaviate-api-key",
    cls=SecretOption,
    envvar="WEAVIATE_API_KEY",
    metavar="KEY",
    show_envvar=True,
    help="Weaviate's API key; WEAVIATE_API_KEY_FILE names a file with it.",
)
vectorizer_option = click.option(
    "--vectorizer-url",
    envvar="VECTORIZER_URL",
    default=DEFAULT_VECTORIZER_URL,
    metavar="URL",
    show_default=True,
    show_envvar=True,
    help="The sidecar's address; the same sidecar that Weaviate uses.",
)
vectorizer_key_option = click.option(
    "--vectorizer-api-key",
    cls=SecretOption,
    envvar="VECTORIZER_API_KEY",
    metavar="KEY",
    show_envvar=True,
    help="The sidecar's API key; VECTORIZER_API_KEY_FILE names a file with it. A user name and password go into its "
    "URL.",
)
collection_option = click.option(
    "--collection", default=IMAGE_COLLECTION, metavar="NAME", show_default=True, help="Collection to search."
)
tenant_option = click.option("--tenant", metavar="NAME", help="Tenant, if the collection has tenants.")
consistency_option = click.option(
    "--consistency",
    type=click.Choice(["ONE", "QUORUM", "ALL"], case_sensitive=False),
    show_default="Weaviate's",
    help="How many replicas must answer.",
)
pdf_password_option = click.option(
    "--pdf-password",
    "pdf_passwords",
    multiple=True,
    type=PasswordType(),
    envvar="CLIP_PDF_PASSWORD",
    show_envvar=True,
    metavar="PASSWORD",
    help="For encrypted PDF files: each is tried. The variable, one a line, is not shown in lists of processes.",
)
ALLOW_ADDRESS = ("--allow-address", "allow_addresses")
ALLOW_ADDRESS_ATTRIBUTES: dict[str, Any] = {
    "multiple": True,
    "envvar": "CLIP_ALLOW_ADDRESSES",
    "metavar": "HOST|NETWORK|all",
    "show_envvar": True,
    "help": "Open images at this server, too: localhost, 10.0.0.0/8. By default only at public addresses. Repeatable.",
}
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
