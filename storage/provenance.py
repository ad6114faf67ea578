"""Where a result comes from: digests of files and models, versions of the software, the commit that ran."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel

from poseshift.storage.schema import SourceFile

_BLOCK_BYTES = 1 << 20
_PACKAGES = ("poseshift", "numpy", "zarr", "icechunk", "dask", "prefect", "torch", "cdflib", "h5py", "scipy")


def digest_file(path: Path, root: Path) -> SourceFile:
    """Digest a file of any size, one block at a time.

    Parameters
    ----------
    path : Path
        The file.
    root : Path
        The folder that the recorded path is relative to.

    Raises
    ------
    OSError
        When the file cannot be read.
    ValueError
        When the file does not lie below ``root``.
    """
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return SourceFile(path=path.relative_to(root).as_posix(), bytes=size, sha256=digest.hexdigest())


def canonical_json(model: BaseModel) -> str:
    """Write a model as JSON that depends on its values alone: sorted keys, no blanks, UTF-8."""
    return json.dumps(
        model.model_dump(mode="json"),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def digest_json(model: BaseModel) -> str:
    """SHA-256 of :func:`canonical_json`: the digest of a recipe, or of a store's content.

    Examples
    --------
    >>> class Point(BaseModel):
    ...     x: int
    >>> digest_json(Point(x=1)) == digest_json(Point(x=1)) != digest_json(Point(x=2))
    True
    """
    return hashlib.sha256(canonical_json(model).encode()).hexdigest()


def software_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result; absent packages are left out.

    Nothing is imported for it.
    """
    found = {name: _version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **{name: one for name, one in found.items() if one}}


@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def program_facts() -> dict[str, str]:
    """Say what writes: versions of the software and, in a checkout, the commit of the program."""
    commit = git_commit()
    return {**software_versions(), **({} if commit is None else {"git_commit": commit})}


@cache
def git_commit() -> str | None:
    """Commit of the checkout that runs, with ``-dirty`` when files differ from it.

    None for an installation outside a checkout of this project; a checkout of something else that merely
    contains the installation does not count.
    """
    git = shutil.which("git")
    if git is None:
        return None
    project = Path(__file__).resolve().parent.parent
    top = _git(git, project, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != project:
        return None
    return _git(git, project, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(git: str, folder: Path, *arguments: str) -> str | None:
    finished = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
        [git, "-C", str(folder), *arguments], capture_output=True, text=True, check=False
    )
    return finished.stdout.strip() if finished.returncode == 0 else None
