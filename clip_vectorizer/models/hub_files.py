"""Files of the Hugging Face hub: where they are, what they should contain, and whether they are on this machine.

The hub's own client answers this, with its variables: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, HF_HUB_CACHE.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, get_hf_file_metadata, get_token, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.transfers import (
    ByteProgress,
    FileHash,
    RemoteFile,
    explain_disk_error,
    fetch_file,
    has_hash,
    ignore_progress,
)

SHA256 = re.compile(r"[0-9a-f]{64}")
NOT_FOUND, DENIED = 404, (401, 403)
GIT_SHA1 = re.compile(r"[0-9a-f]{40}")


class HubUnreachable(ModelUnavailable):
    """The hub did not answer."""


class NoSuchHubFile(ModelUnavailable):
    """The repository does not have the file."""


class NotInHubStore(NoSuchHubFile):
    """The hub must not be used, and the file is not on this machine."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub, and the store of its client on this machine. The defaults are those of the client's variables."""

    endpoint: str = constants.ENDPOINT
    store: str = constants.HF_HUB_CACHE

    def fetch(self, repository: str, name: str, folder: Path, progress: ByteProgress = ignore_progress) -> Path:
        """Return the path of a repository's file in `folder`, copied from the store where it is there.

        Raises HubUnreachable, NotInHubStore, NoSuchHubFile, ModelUnavailable.
        """
        cached = self.find_cached(repository, name)
        try:
            remote = self.find(repository, name)
        except (HubUnreachable, NotInHubStore):
            if cached is None:
                raise
            return copy_cached(cached, folder / name)
        if cached is not None and remote.hash is not None and remote.hash == hash_of_blob(cached):
            return copy_cached(cached, folder / name)
        return fetch_file(remote, folder, progress)

    def find(self, repository: str, name: str) -> RemoteFile:
        """Return address, size and hash of a file, as the hub publishes them. Raises as `fetch`."""
        try:
            found = get_hf_file_metadata(self.address(repository, name), endpoint=self.endpoint)
        except Exception as error:  # the client's HTTP library is another one in each of its versions
            raise self.explain(error, repository, name) from error
        url = self.address(repository, name, found.commit_hash)  # not the signed address, which expires
        return RemoteFile(name, url, found.size, parse_etag(found.etag or ""), login_headers())

    def address(self, repository: str, name: str, revision: str | None = None) -> str:
        return str(hf_hub_url(repository, name, revision=revision, endpoint=self.endpoint))

    def explain(self, error: Exception, repository: str, name: str) -> ModelUnavailable:
        """Return the error of the client as one of ours."""
        page = f"{self.endpoint}/{repository}"
        match error:
            case GatedRepoError():
                return ModelUnavailable(
                    f"{repository} is open only to accounts that accepted its conditions: accept them at {page}, and "
                    "set HF_TOKEN to a token of that account"
                )
            case RepositoryNotFoundError():
                return ModelUnavailable(
                    f"{self.endpoint} has no repository {repository}, or it is private and HF_TOKEN is not set to a "
                    "token that may read it"
                )
            case EntryNotFoundError():
                return NoSuchHubFile(f"{page} has no {name}")
            case HFValidationError():
                return ModelUnavailable(f"{repository!r} is no name of a repository: expected ORG/NAME")
            case OfflineModeIsEnabled():
                return NotInHubStore(f"HF_HUB_OFFLINE is set, and {name} of {repository} is not in {self.store}")
            case HfHubHTTPError() if error.response.status_code == NOT_FOUND:  # of a mirror without the hub's headers
                return NoSuchHubFile(f"{page} has no {name}")
            case HfHubHTTPError() if error.response.status_code in DENIED:
                return ModelUnavailable(f"{page} is denied (status {error.response.status_code}): check HF_TOKEN")
            case HfHubHTTPError():
                return HubUnreachable(f"{page}/{name} answered with status {error.response.status_code}")
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        return HubUnreachable(f"{self.endpoint} cannot be reached ({line}); HF_ENDPOINT names a mirror")

    def find_cached(self, repository: str, name: str) -> Path | None:
        """Return the file in the store of the hub's client; None where it is not, or where the name is not valid."""
        try:
            found = try_to_load_from_cache(repository, name, cache_dir=self.store)
        except HFValidationError:
            return None
        return Path(found) if isinstance(found, str) else None


def login_headers() -> dict[str, str]:
    """Return the header of the user's token, HF_TOKEN or the one that was saved; empty without one."""
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def parse_etag(etag: str) -> FileHash | None:
    """Return the hash that a tag is: of a large file its SHA-256, of a small one git's."""
    if SHA256.fullmatch(etag):
        return FileHash("sha256", etag)
    return FileHash("git-sha1", etag) if GIT_SHA1.fullmatch(etag) else None


def hash_of_blob(cached: Path) -> FileHash | None:
    """Return the hash by which the store names the file, where it can link."""
    return parse_etag(cached.resolve().name)


def copy_cached(cached: Path, target: Path) -> Path:
    """Copy a file of the store. Raises ModelUnavailable where it is damaged, or cannot be copied."""
    expected = hash_of_blob(cached)
    if expected and not has_hash(cached, expected):
        raise ModelUnavailable(f"{cached} is damaged: it does not have {expected}; remove it, and fetch it again")
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(cached, part)
        part.replace(target)
    except OSError as error:
        raise ModelUnavailable(explain_disk_error(error, target.parent)) from error
    return target
