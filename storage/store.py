"""PoseStore: a versioned store of trials, on Icechunk and Zarr format 3.

Readers see one snapshot; a run's changes appear together, with a message, or not at all. The layout is that
of :mod:`poseshift.storage.schema`; any Zarr or xarray program can read it without this project through
:attr:`PoseStore.zarr_store`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import icechunk
import zarr
from icechunk.store import IcechunkStore
from numpy.typing import NDArray
from pydantic import ValidationError

from poseshift.storage import arrays
from poseshift.storage.catalogue import count_all_frames, list_keys, read_catalogue
from poseshift.storage.clock import wait_until_after
from poseshift.storage.errors import StoreError, StoreUnavailableError
from poseshift.storage.location import Location
from poseshift.storage.lock import writer_lock
from poseshift.storage.provenance import digest_json, program_facts
from poseshift.storage.schema import (
    Dataset,
    SourceFile,
    StoreAttributes,
    Trial,
    TrialAttributes,
    TrialKey,
    zarr_attributes,
)
from poseshift.storage.sentences import in_sentences
from poseshift.storage.transaction import Transaction
from poseshift.storage.verification import StoreContent, TrialContent, VerifyReport, verify_trials

if TYPE_CHECKING:
    import xarray

__all__ = ["BRANCH", "Commit", "PoseStore", "StoreError"]

BRANCH = "main"
CREATING = ".creating"
"""End of the name of a folder in which a store is being created, beside its place."""


@dataclass(frozen=True)
class Commit:
    """One entry of a store's history."""

    id: str
    message: str
    written_at: datetime
    metadata: Mapping[str, str]


class PoseStore:
    """A store of trials at one snapshot; made by :meth:`create` and :meth:`open`, picklable.

    See Also
    --------
    storage.columns.read_camera_poses : all frames of all cameras as columns.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from poseshift.geometry.camera import Camera
    >>> from poseshift.storage.schema import Trial
    >>> camera = Camera(name="c", size_px=(1000, 800), focal_px=(1000.0, 1000.0), centre_px=(500.0, 400.0))
    >>> trial = Trial(
    ...     key=TrialKey("S1", "walk"),
    ...     action="walk",
    ...     subaction="1",
    ...     fps=50.0,
    ...     cameras=(camera,),
    ...     positions_world=np.ones((4, 17, 3), np.float32),
    ...     keypoints_2d=np.ones((1, 4, 17, 2), np.float32),
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     store = PoseStore.create(folder + "/store", "my_data")
    ...     with store.transaction("Write one trial") as transaction:
    ...         transaction.write(trial)
    ...     [key.path for key in PoseStore.open(folder + "/store").keys()], store.read(trial.key).frames
    (['S1/walk'], 4)
    """

    def __init__(
        self,
        location: Location,
        repository: icechunk.Repository,
        session: icechunk.Session,
        pinned: str | None,
    ) -> None:
        self.location = location
        self._repository = repository
        self._session = session
        self._pinned = pinned
        self.attributes = _read_store_attributes(location, session)

    @classmethod
    def create(
        cls,
        location: str | Path,
        dataset: Dataset,
        skeleton: str = "human36m_17",
        *,
        restaged_from: str | None = None,
        options: Mapping[str, str] | None = None,
    ) -> PoseStore:
        """Create an empty store.

        Parameters
        ----------
        location : str or Path
            A folder, ``s3://bucket/prefix`` or ``gs://bucket/prefix``.
        dataset : Dataset
            Which data set the trials belong to.
        skeleton : str
            Registry name of the joint set.
        restaged_from : str or None
            The motion behind a restaged raw tree.
        options : Mapping[str, str] or None
            Reader options that change what is written.

        Raises
        ------
        StoreError
            When there is a store already, or the place cannot be written to.
        StoreLockedError
            When another writer is at work there.

        Notes
        -----
        An interrupted creation can be repeated: a folder is built beside its place and moved there, and on an
        object store a repository without any commit counts as not there.
        """
        place = Location.parse(location)
        attributes = StoreAttributes(
            dataset=dataset,
            skeleton=skeleton,
            created_by=f"poseshift {version('poseshift')}",
            restaged_from=restaged_from,
            options=dict(options or {}),
        )
        with writer_lock(place.lock_path, "create the store"), _told(place):
            if cls.exists(location):
                raise StoreError(f"{place}: there is a store already; open it, or choose another place")
            if place.scheme == "file":
                _create_folder(place, attributes)
            else:
                _create_repository(place, attributes)
        return cls.open(location)

    @classmethod
    def open_or_create(
        cls,
        location: str | Path,
        dataset: Dataset,
        skeleton: str = "human36m_17",
        *,
        restaged_from: str | None = None,
        options: Mapping[str, str] | None = None,
    ) -> PoseStore:
        """Open the store that :meth:`create` would make, or make it: how an interrupted run is repeated.

        Raises
        ------
        StoreError
            When another store is there, made from or for something else; and as :meth:`create`.
        """
        if not cls.exists(location):
            return cls.create(location, dataset, skeleton, restaged_from=restaged_from, options=options)
        store = cls.open(location)
        found = store.attributes
        wanted = (dataset, skeleton, restaged_from, dict(options or {}))
        if (found.dataset, found.skeleton, found.restaged_from, dict(found.options)) != wanted:
            raise StoreError(
                f"{location}: there is another store of {found.dataset} already ({_facts(found)}); "
                "choose another place"
            )
        return store

    @classmethod
    def open(cls, location: str | Path, snapshot: str | None = None) -> PoseStore:
        """Open a store at its newest snapshot, or at a given one (which then cannot be written to).

        Parameters
        ----------
        location : str or Path
            Where it lies.
        snapshot : str or None
            Identifier of a snapshot, or a tag that names one (:mod:`poseshift.storage.tags`).

        Raises
        ------
        StoreError
            When there is no pose store, or no such snapshot.
        """
        place = Location.parse(location)
        if place.scheme == "file" and not Path(place.path).is_dir():
            raise StoreError(f"{place}: there is no store; create one with `poseshift prepare`")
        try:
            repository = icechunk.Repository.open(place.icechunk_storage())
        except icechunk.IcechunkError as error:
            raise StoreError(f"{place}: cannot be opened as a store ({_first_line(error)})") from error
        try:
            session = _session(repository, snapshot)
        except (icechunk.IcechunkError, ValueError) as error:
            raise StoreError(f"{place}: no snapshot {snapshot!r} ({_first_line(error)})") from error
        return cls(place, repository, session, snapshot)

    @classmethod
    def exists(cls, location: str | Path) -> bool:
        """Whether a repository with at least one commit lies at ``location``."""
        place = Location.parse(location)
        if place.scheme == "file" and not Path(place.path).is_dir():
            return False
        with _told(place):
            storage = place.icechunk_storage()
            if not icechunk.Repository.exists(storage):
                return False
            commits = icechunk.Repository.open(storage).ancestry(branch=BRANCH)
            return any(entry.parent_id is not None for entry in commits)

    @property
    def snapshot(self) -> str:
        """Identifier of the snapshot that is being read."""
        return self._session.snapshot_id

    @property
    def repository(self) -> icechunk.Repository:
        """The repository behind the store, for what is about all of its snapshots; see :meth:`alone`."""
        return self._repository

    @property
    def dataset(self) -> Dataset:
        """Which data set the trials belong to."""
        return self.attributes.dataset

    @property
    def skeleton(self) -> str:
        """Registry name of the joint set."""
        return self.attributes.skeleton

    @property
    def zarr_store(self) -> IcechunkStore:
        """The snapshot as a read-only Zarr store, for zarr and xarray."""
        return self._session.store

    @property
    def root(self) -> zarr.Group:
        """The snapshot's root group, read-only."""
        return zarr.open_group(self.zarr_store, mode="r", zarr_format=3)

    def keys(self) -> tuple[TrialKey, ...]:
        """All trials, sorted by subject and name."""
        return list_keys(self.zarr_store)

    def catalogue(self) -> dict[TrialKey, TrialAttributes]:
        """Read what is known of every trial besides its arrays, at once, in the order of :meth:`keys`."""
        return read_catalogue(self.zarr_store)

    def frame_counts(self, catalogue: Mapping[TrialKey, TrialAttributes]) -> dict[TrialKey, int]:
        """Count the frames of all trials of a :meth:`catalogue` at once."""
        return count_all_frames(self.zarr_store, catalogue)

    def read(self, key: TrialKey) -> Trial:
        """Read one trial; KeyError when there is none."""
        return arrays.read_trial(self.root, key)

    def read_array(self, key: TrialKey, name: str) -> NDArray[Any]:
        """Read one array of a trial; KeyError when there is no such trial or array."""
        return arrays.read_array(arrays.trial_group(self.root, key), name)

    def trial_attributes(self, key: TrialKey) -> TrialAttributes:
        """Read what is known of a trial besides its arrays; KeyError when there is none."""
        return arrays.read_attributes(arrays.trial_group(self.root, key))

    def sources(self, key: TrialKey) -> tuple[SourceFile, ...]:
        """List the raw files that a trial was read from; KeyError when there is no such trial."""
        return self.trial_attributes(key).sources

    def frames(self, key: TrialKey) -> int:
        """Count a trial's frames without reading them; KeyError when there is no such trial."""
        return arrays.count_frames(arrays.trial_group(self.root, key))

    def open_dataset(self, key: TrialKey) -> xarray.Dataset:
        """Open one trial as a lazily read xarray data set; KeyError when there is none."""
        import xarray  # with pandas behind it: most of a second, which a look at a store should not cost

        arrays.trial_group(self.root, key)
        dataset: xarray.Dataset = xarray.open_zarr(
            self.zarr_store, group=key.path, chunks=None, consolidated=False, zarr_format=3
        )
        return dataset

    def history(self) -> tuple[Commit, ...]:
        """List the commits that led to this snapshot, newest first."""
        return tuple(
            Commit(entry.id, entry.message, entry.written_at, dict(entry.metadata))
            for entry in self._repository.ancestry(snapshot_id=self.snapshot)
            if entry.parent_id is not None
        )

    def verify(self) -> VerifyReport:
        """Read every array again and compare it with the digest that was stored when it was written."""
        return verify_trials(self.root, self.snapshot)

    def digest(self) -> str:
        """Digest the store's content: equal stores are equal however, when and by whom they were written.

        SHA-256 over data set, skeleton and, for every trial, its names, frame rate, cameras and the digests
        of its arrays. Sources, quality figures and the history do not enter.
        """
        trials = {key.path: TrialContent.of(one) for key, one in self.catalogue().items()}
        return digest_json(StoreContent(dataset=self.dataset, skeleton=self.skeleton, trials=trials))

    @contextmanager
    def alone(self, purpose: str) -> Iterator[None]:
        """Keep other writers away for the length of a ``with`` block; readers are not disturbed.

        Parameters
        ----------
        purpose : str
            What is done, told to writers that are refused meanwhile.

        Raises
        ------
        StoreLockedError
            When another writer is at work.
        StoreError
            When the store cannot be read or written.
        """
        with writer_lock(self.location.lock_path, purpose), _told(self.location):
            yield

    @contextmanager
    def transaction(self, message: str, metadata: Mapping[str, str] | None = None) -> Iterator[Transaction]:
        """Change the store: everything in the ``with`` block is committed at its end, or nothing.

        The store then reads the new snapshot. An exception leaves it as it was.

        Parameters
        ----------
        message : str
            What the commit says.
        metadata : Mapping[str, str] or None
            Facts for the history beside the versions and the commit of the program.

        Raises
        ------
        StoreError
            When this store was opened at a fixed snapshot, cannot be written to, or lost a race for the
            commit; when the clock is before the last commit.
        StoreLockedError
            When another writer is at work.
        """
        if self._pinned is not None:
            raise StoreError(
                f"{self.location}: opened at snapshot {self._pinned}, which cannot change; "
                "open the store without a snapshot to write to it"
            )
        with self.alone(message):
            session = self._repository.writable_session(BRANCH)
            parent = next(iter(self._repository.ancestry(snapshot_id=session.snapshot_id)))
            wait_until_after(parent.written_at)
            transaction = Transaction(session, _read_store_attributes(self.location, session))
            yield transaction
            wait_until_after(parent.written_at)
            transaction.commit(message, {**program_facts(), **(metadata or {})})
        self._session = self._repository.readonly_session(BRANCH)
        self.attributes = _read_store_attributes(self.location, self._session)


def _session(repository: icechunk.Repository, named: str | None) -> icechunk.Session:
    """Read the newest snapshot, or the one of this tag or identifier."""
    if named is None:
        return repository.readonly_session(BRANCH)
    if named in repository.list_tags():
        return repository.readonly_session(tag=named)
    return repository.readonly_session(snapshot_id=named)


def _facts(attributes: StoreAttributes) -> str:
    origin = attributes.restaged_from or "original recordings"
    return ", ".join((origin, *(f"{name} {value}" for name, value in attributes.options.items())))


@contextmanager
def _told(location: Location) -> Iterator[None]:
    """Tell Icechunk's errors in terms of the store."""
    try:
        yield
    except icechunk.ConflictError as error:
        raise StoreUnavailableError(
            f"{location}: another writer committed first; nothing was written. Run it again."
        ) from error
    except icechunk.IcechunkError as error:
        raise StoreUnavailableError(
            f"{location}: could not be read or written ({_first_line(error)}); nothing was committed. "
            "Mend the cause and run it again."
        ) from error


def _create_folder(place: Location, attributes: StoreAttributes) -> None:
    """Build the repository beside its place and move it there, so that no half of it is ever seen."""
    folder = Path(place.path)
    building = folder.with_name(f"{folder.name}{CREATING}")
    try:
        shutil.rmtree(building, ignore_errors=True)
        _create_repository(Location.parse(building), attributes)
        building.rename(folder)
    except BaseException as error:
        shutil.rmtree(building, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise StoreError(
            f"{place}: no store can be made here ({error.strerror or error}); "
            "choose a place where nothing lies yet"
        ) from error


def _create_repository(place: Location, attributes: StoreAttributes) -> None:
    storage = place.icechunk_storage()
    if icechunk.Repository.exists(storage):  # of a creation that was interrupted before its commit
        repository = icechunk.Repository.open(storage)
    else:
        repository = icechunk.Repository.create(storage, config=place.new_repository_config())
    session = repository.writable_session(BRANCH)
    zarr.create_group(session.store, zarr_format=3, attributes=zarr_attributes(attributes))
    session.commit(f"Create store for {attributes.dataset}")


def _read_store_attributes(location: Location, session: icechunk.Session) -> StoreAttributes:
    try:
        root = zarr.open_group(session.store, mode="r", zarr_format=3)
        return StoreAttributes.model_validate(dict(root.attrs))
    except (FileNotFoundError, ValidationError) as error:
        found = in_sentences(error) if isinstance(error, ValidationError) else str(error)
        raise StoreError(
            f"{location}: an Icechunk repository, but not a pose store of format version 1 ({found})"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].strip(" x") if str(error).strip() else type(error).__name__
