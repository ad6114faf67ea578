"""From the recipe's words to poses: opening stores, reading what is selected, hiding what may not be seen."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from pydantic import Field

from poseshift.flows.experiment.recipe import PoseData, StoredData
from poseshift.storage.columns import CameraPoses
from poseshift.storage.model import FrozenModel, is_left_out, is_still
from poseshift.storage.reading import PositionsMissingError, read_camera_poses, read_keypoints
from poseshift.storage.remaining import little_left
from poseshift.storage.schema import Dataset, NoPositionsError, PositionsKind
from poseshift.storage.store import PoseStore

logger = logging.getLogger(__name__)


class StoreInputs(FrozenModel):
    """A store as an input of a stage: what decides its content, and nothing of where it lies."""

    dataset: Dataset
    """Which release."""
    snapshot: str
    """The store's snapshot."""
    keypoints: str
    """Kind of the 2D keypoints."""
    least_confidence: float = Field(default=0.0, exclude_if=is_still(0.0))
    """Joints that a detector is less sure of count as not seen."""


class DataInputs(StoreInputs):
    """Selected poses as an input of a stage."""

    subjects: tuple[str, ...] | None
    """Subjects kept; None for all."""
    cameras: tuple[str, ...] | None
    """Cameras kept; None for all."""
    frame_step: int
    """Every n-th frame was kept."""
    longest_gap_s: float = Field(default=0.0, exclude_if=is_still(0.0))
    """Joints that were not seen for at most so many seconds were filled in over time."""
    positions: PositionsKind | None = Field(default=None, exclude_if=is_left_out)
    """Kind of 3D that was asked for; None for whichever the store holds."""


@dataclass(frozen=True)
class OpenData:
    """Poses that a recipe names, with their store opened at one snapshot.

    Attributes
    ----------
    data : PoseData
        What the recipe says.
    store : PoseStore
        The opened store.
    """

    data: PoseData
    store: PoseStore

    @property
    def inputs(self) -> DataInputs:
        """The data as an input of a stage."""
        return DataInputs(
            dataset=self.data.dataset,
            snapshot=self.store.snapshot,
            keypoints=self.data.keypoints,
            subjects=self.data.subjects,
            cameras=self.data.cameras,
            frame_step=self.data.frame_step,
            least_confidence=self.data.least_confidence,
            longest_gap_s=self.data.longest_gap_s,
            positions=self.data.positions,
        )

    def labelled(self) -> CameraPoses:
        """Read the selected poses with their 3D.

        Raises
        ------
        ValueError
            The store has not the kind of 3D that is asked for, or nothing that is selected.
        """
        try:
            return read_camera_poses(self.store, self.data.selection)
        except NoPositionsError as error:
            raise ValueError(f"{self.store.location}: {error}") from error
        except PositionsMissingError as error:
            raise ValueError(
                f"{self.store.location}: {error}; prepare or import a store that has {error.wanted} 3D, or "
                f"say `positions: {error.held}` of these data"
            ) from error

    def unlabelled(self) -> CameraPoses:
        """Read the selected poses without their 3D: NaN in its place, so that use cannot go unnoticed."""
        # Which 3D is hidden does not matter, so a store that lacks the kind of the recipe, or any, will do.
        return read_keypoints(self.store, replace(self.data.selection, positions=None))

    def detected(self) -> CameraPoses:
        """Read as :meth:`unlabelled` with every gap that the detector left, for its errors to be seen."""
        return read_keypoints(self.store, replace(self.data.selection, positions=None, longest_gap_s=0.0))

    def remarks(self, poses: CameraPoses) -> tuple[str, ...]:
        """Log, and give back for the record, that what was read is little of the store; empty where not."""
        remark = little_left(self.store, self.data.selection, poses)
        if remark is None:
            return ()
        logger.warning("%s", remark)
        return (remark,)


class WrongDatasetError(ValueError):
    """A store that holds another data set than the recipe says."""


def open_store(data: StoredData) -> PoseStore:
    """Open the store of a data set, at the snapshot that the recipe names or else at its newest.

    Raises
    ------
    StoreError
        There is no store, or no such snapshot.
    WrongDatasetError
        It holds another data set.
    """
    store = PoseStore.open(data.store, data.snapshot)
    if store.dataset != data.dataset:
        raise WrongDatasetError(
            f"{data.store} holds {store.dataset}, the recipe says {data.dataset}; "
            "correct `dataset` or `store`"
        )
    return store


def open_poses(data: PoseData) -> OpenData:
    """Open the store of poses that a recipe names; raises what :func:`open_store` raises."""
    return OpenData(data, open_store(data))
