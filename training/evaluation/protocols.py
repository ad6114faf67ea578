"""Evaluation protocols as frozen, named objects: what exactly a figure in a table measures.

"MPJPE on MPI-INF-3DHP" is at least four different numbers in the literature. A protocol fixes the data, the
joints, the kind of 3D, the thresholds, the use of mirrored input and the mean; every result carries its name.
A new protocol is one call of ``PROTOCOLS.add``, here or in a user's own module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from poseshift.geometry.skeleton import HUMAN36M_17, POSEAUG_16, mapping, skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.reading import PositionsMissingError, Selection, positions_held, read_camera_poses
from poseshift.storage.registry import Registry
from poseshift.storage.schema import Dataset, PositionsKind
from poseshift.storage.store import PoseStore
from poseshift.training.evaluation.metrics import Alignment

TestTime = Literal["plain", "flip"]
"""Predict once, or average with the prediction for the mirrored keypoints."""

Averaging = Literal["frames", "actions"]
"""Every frame alike, or every action alike."""


@dataclass(frozen=True)
class Protocol:
    """One way to measure a lifter.

    Attributes
    ----------
    name : str
        As tables cite it.
    description : str
        One sentence.
    source : str
        Where the definition comes from.
    dataset, subjects, cameras : Dataset or tuple[str, ...] or tuple[str, ...] or None
        Which rows; cameras None means all.
    skeleton : str
        Joint set that poses are mapped to before they are measured.
    joints : tuple[str, ...]
        Names of the joints in the position errors, and in the fit of PA-MPJPE and N-MPJPE.
    pck_joints : tuple[str, ...]
        Names of the joints in PCK and AUC.
    positions : PositionsKind
        ``annotated`` 3D, or ``universal`` (height-normalised, 3DHP).
    alignment : Alignment
        Of the headline figure; the other alignments are reported beside it.
    thresholds_mm : tuple[float, ...]
        Of AUC, ascending, strict.
    test_time : TestTime
        ``flip`` averages with the mirrored input.
    valid_only : bool
        Leave out frames that the data set marks as invalid.
    frame_step : int
        Every n-th frame.
    averaging : Averaging
        Of all figures, over frames or over actions.
    """

    name: str
    description: str
    source: str
    dataset: Dataset
    subjects: tuple[str, ...]
    skeleton: str
    joints: tuple[str, ...]
    pck_joints: tuple[str, ...]
    thresholds_mm: tuple[float, ...]
    cameras: tuple[str, ...] | None = None
    positions: PositionsKind = "annotated"
    alignment: Alignment = "none"
    test_time: TestTime = "plain"
    valid_only: bool = True
    frame_step: int = 1
    averaging: Averaging = "frames"

    @property
    def joint_indices(self) -> tuple[int, ...]:
        """Indices of ``joints`` in the protocol's skeleton."""
        names = skeleton(self.skeleton).joint_names
        return tuple(names.index(joint) for joint in self.joints)

    @property
    def pck_columns(self) -> tuple[int, ...]:
        """Indices of ``pck_joints`` among ``joints``."""
        return tuple(self.joints.index(joint) for joint in self.pck_joints)

    @property
    def root_in_mean(self) -> bool:
        """Whether the root, whose error is zero, is one of the joints averaged over."""
        joint_set = skeleton(self.skeleton)
        return joint_set.joint_names[joint_set.root] in self.joints

    def require_measurable(self, joints: str) -> None:
        """Refuse answers on a joint set that lacks joints of this protocol.

        Parameters
        ----------
        joints : str
            Name of the joint set of a lifter's answers.

        Raises
        ------
        ValueError
            There is no mapping from it to the protocol's joint set.
        """
        try:
            mapping(joints, self.skeleton)
        except LookupError as error:
            suited = [name for name in names_for(self.dataset) if PROTOCOLS[name].skeleton == joints]
            raise ValueError(
                f"protocol {self.name} measures {self.skeleton}, which cannot be made of a lifter's "
                f"{joints}; protocols of {self.dataset} for that: {', '.join(suited) or 'none'}"
            ) from error

    def selection(self, keypoints: str = "ground_truth", least_confidence: float = 0.0) -> Selection:
        """Rows that this protocol measures.

        Parameters
        ----------
        keypoints : str
            ``ground_truth`` or the name of a detector.
        least_confidence : float
            Joints that the detector is less sure of count as not seen.
        """
        return Selection(
            subjects=self.subjects,
            cameras=self.cameras,
            frame_step=self.frame_step,
            valid_only=self.valid_only,
            positions=self.positions,
            keypoints=keypoints,
            least_confidence=least_confidence,
        )

    def context(self, keypoints: str = "ground_truth", least_confidence: float = 0.0) -> Selection:
        """Rows that a lifter of clips may look at: every frame, those that are not measured among them."""
        return replace(self.selection(keypoints, least_confidence), frame_step=1, valid_only=False)

    def read(
        self, store: PoseStore, keypoints: str = "ground_truth", least_confidence: float = 0.0
    ) -> CameraPoses:
        """Read the protocol's rows.

        Raises
        ------
        ValueError
            When the store holds another data set or another kind of 3D than the protocol's, or nothing that
            it selects.
        """
        if store.dataset != self.dataset:
            raise ValueError(
                f"protocol {self.name} measures {self.dataset}, but {store.location} holds {store.dataset}; "
                f"protocols for it: {', '.join(names_for(store.dataset)) or 'none'}"
            )
        try:
            return read_camera_poses(store, self.selection(keypoints, least_confidence))
        except PositionsMissingError as error:
            suited = ", ".join(names_for_store(store)) or "none"
            raise ValueError(
                f"protocol {self.name} measures {error.wanted} 3D, but {store.location} holds {error.held} "
                f"3D alone; protocols for it: {suited}. For {self.name}, "
                f"make a store that has {error.wanted} 3D: prepare the raw release, or import a file of it."
            ) from error


PROTOCOLS = Registry[Protocol]("protocol")
"""Every protocol by name."""


def protocol(name: str) -> Protocol:
    """Look up a protocol.

    Raises
    ------
    ValueError
        When there is none of that name; the message lists those that there are.
    """
    return PROTOCOLS[name]


def names_for(dataset: Dataset) -> tuple[str, ...]:
    """Names of the protocols that measure a data set."""
    return tuple(entry.name for entry in PROTOCOLS.values() if entry.dataset == dataset)


def names_for_store(store: PoseStore) -> tuple[str, ...]:
    """Names of the protocols that measure a store's data set by 3D and subjects that the store has."""
    held, subjects = positions_held(store), {key.subject for key in store.keys()}
    return tuple(
        name
        for name in names_for(store.dataset)
        if PROTOCOLS[name].positions in held and not subjects.isdisjoint(PROTOCOLS[name].subjects)
    )


_TOOLKIT_THRESHOLDS_MM = tuple(float(threshold) for threshold in range(0, 151, 5))
_GRAPHMLP_THRESHOLDS_MM = tuple(float(threshold) for threshold in range(150))
_TEST_SEQUENCES = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
_TOOLKIT_PCK_JOINTS = tuple(
    name for name in HUMAN36M_17.joint_names if name not in ("pelvis", "spine", "nose")
)
"""Head top, neck, and both shoulders, elbows, wrists, hips, knees, ankles, by their Human3.6M names."""

_HUMAN36M_P1 = Protocol(
    name="human36m-p1",
    description=(
        "Human3.6M Protocol 1: MPJPE over 17 joints with the root on S9 and S11, all cameras and frames, "
        "mirrored input averaged, mean over the 15 actions; S11 Directions, whose video was damaged but not "
        "its poses, is kept."
    ),
    source="Pavllo et al., VideoPose3D (CVPR 2019); PCK and AUC with the thresholds of MPI-INF-3DHP",
    dataset="human36m",
    subjects=("S9", "S11"),
    skeleton="human36m_17",
    joints=HUMAN36M_17.joint_names,
    pck_joints=HUMAN36M_17.joint_names,
    thresholds_mm=_TOOLKIT_THRESHOLDS_MM,
    test_time="flip",
    averaging="actions",
)

_HUMAN36M_P2 = Protocol(
    name="human36m-p2",
    description="Human3.6M Protocol 2: as human36m-p1, each frame after a similarity fit (PA-MPJPE).",
    source="Pavllo et al., VideoPose3D (CVPR 2019)",
    dataset="human36m",
    subjects=("S9", "S11"),
    skeleton="human36m_17",
    joints=HUMAN36M_17.joint_names,
    pck_joints=HUMAN36M_17.joint_names,
    thresholds_mm=_TOOLKIT_THRESHOLDS_MM,
    alignment="similarity",
    test_time="flip",
    averaging="actions",
)

_HUMAN36M_S5678 = Protocol(
    name="human36m-s5678-16",
    description=(
        "Human3.6M with few labels: learned on S1 alone, measured on S5, S6, S7 and S8, all cameras and "
        "frames, 16 joints (no nose) with the zero error of the hip, mean over frames."
    ),
    source=(
        "The subjects that PoseDA (arXiv 2303.16456) and PoSynDA name; joints, mean and thresholds, which "
        "they do not, as in PoseAug's released code"
    ),
    dataset="human36m",
    subjects=("S5", "S6", "S7", "S8"),
    skeleton="poseaug_16",
    joints=POSEAUG_16.joint_names,
    pck_joints=POSEAUG_16.joint_names,
    thresholds_mm=_TOOLKIT_THRESHOLDS_MM,
)

_3DHP_OFFICIAL = Protocol(
    name="3dhp-official",
    description=(
        "The data set's own scripts: valid frames, universal 3D, no alignment; MPJPE over 17 joints with the "
        "pelvis, PCK at 150 mm and AUC over 0:5:150 mm (strict) on 14: no pelvis, spine or head centre."
    ),
    source="Mehta et al. (3DV 2017), the mpii_*.m scripts released with the test set",
    dataset="mpi_inf_3dhp_test",
    subjects=_TEST_SEQUENCES,
    skeleton="human36m_17",
    joints=HUMAN36M_17.joint_names,
    pck_joints=_TOOLKIT_PCK_JOINTS,
    thresholds_mm=_TOOLKIT_THRESHOLDS_MM,
    positions="universal",
)

_3DHP_ANNOT3 = Protocol(
    name="3dhp-annot3",
    description="As 3dhp-official, against the annotated 3D in the subject's true size.",
    source="the variant of D3DP (ICCV 2023) and of MMPose",
    dataset="mpi_inf_3dhp_test",
    subjects=_TEST_SEQUENCES,
    skeleton="human36m_17",
    joints=HUMAN36M_17.joint_names,
    pck_joints=_TOOLKIT_PCK_JOINTS,
    thresholds_mm=_TOOLKIT_THRESHOLDS_MM,
)

_3DHP_ANNOT3_FLIP = replace(
    _3DHP_ANNOT3,
    name="3dhp-annot3-flip",
    description="As 3dhp-annot3, mirrored input averaged.",
    test_time="flip",
)

_3DHP_POSEAUG16 = Protocol(
    name="3dhp-poseaug16",
    description=(
        "PoseAug's cross-data-set test: valid frames, universal 3D, 16 joints (no nose) for every figure "
        "with the zero error of the hip, mirrored input averaged, AUC over 0:5:150 mm (strict)."
    ),
    source="Gong et al., PoseAug (CVPR 2021), the evaluation of its released code",
    dataset="mpi_inf_3dhp_test",
    subjects=_TEST_SEQUENCES,
    skeleton="poseaug_16",
    joints=POSEAUG_16.joint_names,
    pck_joints=POSEAUG_16.joint_names,
    thresholds_mm=_TOOLKIT_THRESHOLDS_MM,
    positions="universal",
    test_time="flip",
)

_3DHP_GRAPHMLP17 = Protocol(
    name="3dhp-graphmlp17",
    description=(
        "GraphMLP's generalisation test: valid frames, universal 3D, 17 joints with the root for all, "
        "mirrored input averaged, AUC over 0:1:149 mm (strict)."
    ),
    source="Li et al., GraphMLP (arXiv 2206.06420), the evaluation of its released code",
    dataset="mpi_inf_3dhp_test",
    subjects=_TEST_SEQUENCES,
    skeleton="human36m_17",
    joints=HUMAN36M_17.joint_names,
    pck_joints=HUMAN36M_17.joint_names,
    thresholds_mm=_GRAPHMLP_THRESHOLDS_MM,
    positions="universal",
    test_time="flip",
)

for _protocol in (
    _HUMAN36M_P1,
    _HUMAN36M_P2,
    _HUMAN36M_S5678,
    _3DHP_OFFICIAL,
    _3DHP_ANNOT3,
    _3DHP_ANNOT3_FLIP,
    _3DHP_POSEAUG16,
    _3DHP_GRAPHMLP17,
):
    PROTOCOLS.add(_protocol.name, _protocol)
