"""Where a store lies: a local folder or an object store, told apart by the form of its address.

``s3://bucket/prefix`` and ``gs://bucket/prefix`` are object stores; everything else is a folder.
Credentials, region and endpoint come from the environment alone (``AWS_ACCESS_KEY_ID``,
``AWS_ENDPOINT_URL``...; ``GOOGLE_APPLICATION_CREDENTIALS``), so that no recipe and no report can hold them.
"""

from __future__ import annotations

import atexit
import functools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import icechunk

from poseshift.storage.files import has_hard_links

Scheme = Literal["file", "s3", "gs"]

if "ICECHUNK_LOG" not in os.environ:
    # Icechunk warns on every opening that local folders need one committer at a time: our lock sees to that.
    icechunk.set_logs_filter("warn,icechunk::storage::object_store=error")


def lock_beside(folder: Path) -> Path:
    """Name the lock file of a store in a folder; beside it, since Icechunk creates only where nothing is."""
    return folder.with_name(f"{folder.name}.lock")


@dataclass(frozen=True)
class Location:
    """The place of one store.

    Attributes
    ----------
    scheme : Scheme
        ``file``, ``s3`` or ``gs``.
    bucket : str
        The bucket of an object store, empty for a folder.
    path : str
        The folder (absolute), or the prefix inside the bucket.
    """

    scheme: Scheme
    bucket: str
    path: str

    @classmethod
    def parse(cls, address: str | Path) -> Location:
        """Read an address such as ``runs/h36m.zarr``, ``file:///data/x`` or ``s3://bucket/prefix``.

        Raises
        ------
        ValueError
            For an unknown scheme, or an object store without a bucket.
        """
        text = str(address)
        scheme, separator, _ = text.partition("://")
        if isinstance(address, Path) or not separator:
            return cls("file", "", str(Path(text).expanduser().absolute()))
        parts = urlsplit(text)
        if scheme == "file":
            return cls("file", "", str(Path(parts.path).absolute()))
        if scheme not in ("s3", "gs"):
            raise ValueError(
                f"{text}: unknown scheme {scheme!r}; give a folder, s3://bucket/prefix or gs://..."
            )
        if not parts.netloc:
            raise ValueError(f"{text}: no bucket; give {scheme}://bucket/prefix")
        return cls("s3" if scheme == "s3" else "gs", parts.netloc, parts.path.strip("/"))

    def __str__(self) -> str:
        return self.path if self.scheme == "file" else f"{self.scheme}://{self.bucket}/{self.path}"

    @property
    def lock_path(self) -> Path | None:
        """The lock file that admits one writer; None where the object store itself orders commits."""
        return lock_beside(Path(self.path)) if self.scheme == "file" else None

    def new_repository_config(self) -> icechunk.RepositoryConfig:
        """How a new repository is to write here; kept in the repository.

        On a local disk Icechunk makes a file appear only where there is none by a hard link. exFAT and some
        network mounts know none; there files are renamed into place, and the lock alone keeps a second writer
        away.
        """
        if self.scheme != "file" or has_hard_links(Path(self.path).parent):
            return icechunk.RepositoryConfig.default()
        return icechunk.RepositoryConfig(
            storage=icechunk.StorageSettings(
                unsafe_use_conditional_create=False, unsafe_use_conditional_update=False
            )
        )

    def icechunk_storage(self) -> icechunk.Storage:
        """Icechunk's handle of this place; object stores read their credentials from the environment."""
        _wait_at_exit()
        if self.scheme == "file":
            return icechunk.local_filesystem_storage(self.path)
        prefix = self.path or None
        if self.scheme == "gs":
            return icechunk.gcs_storage(bucket=self.bucket, prefix=prefix, from_env=True)
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return icechunk.s3_storage(
            bucket=self.bucket,
            prefix=prefix,
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            endpoint_url=endpoint,
            allow_http=endpoint is not None and endpoint.startswith("http://"),
            force_path_style=endpoint is not None,
            from_env=True,
        )


@functools.cache
def _wait_at_exit() -> None:
    """Let a process that has used Icechunk end a moment later.

    Its threads let go of their last Python objects a moment after a call has returned. An interpreter that
    ends in that moment is aborted: one in ten of those that wrote and ended at once, with all on the disk.
    """
    atexit.register(time.sleep, _LAST_MOMENT_S)


_LAST_MOMENT_S = 0.1
