"""Passwords and keys from files: `NAME_FILE` names a file whose content stands for `NAME`.

Docker, Compose and Kubernetes mount secrets as files, because the environment of a container is shown by `inspect`.
"""

from collections.abc import Mapping
from pathlib import Path

from clip_vectorizer.errors import SettingsError

MAX_SECRET_BYTES = 64 * 1024  # a wrong path, such as that of an image, is not read whole


def read_secret(env: Mapping[str, str], name: str) -> str:
    """The value of `name`, or the content of the file that `{name}_FILE` names, without spaces around; "" for neither.

    Raises SettingsError, which names the variable and never shows the secret.
    """
    value, path = env.get(name, ""), env.get(f"{name}_FILE", "").strip()
    if not path:
        return value
    if value:
        raise SettingsError(f"{name} and {name}_FILE are both set; remove one")
    return read_secret_file(f"{name}_FILE", path)


def read_secret_file(variable: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        text = content.decode().strip()
    except OSError as error:
        raise SettingsError(f"{variable}={path!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{variable}={path!r}: not a text file") from error
    if not text or len(content) > MAX_SECRET_BYTES:
        raise SettingsError(f"{variable}={path!r}: {'the file is empty' if not text else 'too large for a key'}")
    return text
