"""The target domains of the benchmark: before which cameras people of the target train and test.

Each domain names the poses to adapt to and a protocol over other people. Where MPI-INF-3DHP has no such part
(its test people were not filmed from above, its training people not by the outdoor camera), the same people's
motion is put before those cameras, as :mod:`poseshift.preprocessing.restaging.restage` does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from poseshift.preprocessing.mpi_inf_3dhp.layout import CAMERA_SETS, TRAINING_CAMERAS
from poseshift.preprocessing.restaging.placement import Stage, frontal_stage, ring_stage
from poseshift.preprocessing.restaging.restage import (
    TEST_DISTANCE_M,
    TEST_SPREAD_M,
    TRAINING_SPREAD_M,
    camera_of_test_sequence,
)
from poseshift.training.evaluation.protocols import Protocol, protocol

DomainName = Literal["chest-height", "high-and-ceiling", "outdoor"]
StoreName = Literal[
    "human36m",
    "mpi_inf_3dhp_train",
    "mpi_inf_3dhp_test",
    "test_from_above",
    "train_outdoor",
    "test_outdoor",
    "test_at_chest_height",
    "source_at_chest_height",
    "source_from_above",
    "source_outdoor",
]

HIGH_CAMERAS = (3, 6, 9, 10)
"""Training cameras that look down from above head height, but not from the ceiling."""

_ABOVE = (*HIGH_CAMERAS, *CAMERA_SETS["ceiling"])
_OUTDOOR = ("TS5", "TS6")
_ANNOTATED = protocol("3dhp-annot3")


@dataclass(frozen=True)
class TargetDomain:
    """What is adapted to, and what is measured.

    Attributes
    ----------
    name : DomainName
        As commands call it.
    description : str
        One sentence.
    train : StoreName
        Store of the poses to adapt to; none of their people are in the test.
    train_cameras : tuple[str, ...] or None
        Cameras of that store, None for all.
    test : StoreName
        Store that is measured.
    source_there : StoreName
        Store of the source's people before the target's cameras, which only free motion can give.
    protocol : Protocol
        How.
    """

    name: DomainName
    description: str
    train: StoreName
    train_cameras: tuple[str, ...] | None
    test: StoreName
    source_there: StoreName
    protocol: Protocol


DOMAINS: Mapping[DomainName, TargetDomain] = MappingProxyType(
    {
        domain.name: domain
        for domain in (
            TargetDomain(
                name="chest-height",
                description=(
                    "Adapts to S1 to S8 before the chest-height cameras 0, 2, 4, 7 and 8; tests on the "
                    "people of TS1 to TS6, put before the same five cameras."
                ),
                train="mpi_inf_3dhp_train",
                train_cameras=tuple(str(number) for number in CAMERA_SETS["mm3d_chest"]),
                test="test_at_chest_height",
                source_there="source_at_chest_height",
                protocol=replace(
                    _ANNOTATED,
                    name="placed-at-chest-height",
                    description=(
                        "As 3dhp-annot3, every fifth frame of the test people put before cameras 0, 2, 4, 7 "
                        "and 8 of the training part."
                    ),
                    source="this benchmark; joints, thresholds and mean of 3dhp-annot3",
                    dataset="adapted",
                    frame_step=5,
                ),
            ),
            TargetDomain(
                name="high-and-ceiling",
                description=(
                    "Adapts to S1 to S8 before the high cameras 3, 6, 9, 10 and the ceiling cameras 11, 12, "
                    "13; tests on the people of TS1 to TS6, put before the same seven cameras."
                ),
                train="mpi_inf_3dhp_train",
                train_cameras=tuple(str(number) for number in _ABOVE),
                test="test_from_above",
                source_there="source_from_above",
                protocol=replace(
                    _ANNOTATED,
                    name="placed-from-above",
                    description=(
                        "As 3dhp-annot3, every fifth frame of the test people put before cameras 3, 6 and 9 "
                        "to 13 of the training part."
                    ),
                    source="this benchmark; joints, thresholds and mean of 3dhp-annot3",
                    dataset="adapted",
                    frame_step=5,
                ),
            ),
            TargetDomain(
                name="outdoor",
                description=(
                    "Adapts to people of S1 to S8, put before the cameras of TS5 and TS6 (1920 x 1080, "
                    "longer focal length); tests on the people of TS1 to TS6 before the same two cameras."
                ),
                train="train_outdoor",
                train_cameras=None,
                test="test_outdoor",
                source_there="source_outdoor",
                protocol=replace(
                    _ANNOTATED,
                    name="placed-outdoor",
                    description=(
                        "As 3dhp-annot3, every second frame of the test people put before the cameras of TS5 "
                        "and TS6."
                    ),
                    source="this benchmark; joints, thresholds and mean of 3dhp-annot3",
                    dataset="adapted",
                    frame_step=2,
                ),
            ),
        )
    }
)
"""Every domain by name."""


@dataclass(frozen=True)
class Derivation:
    """How a store that no raw tree has is made.

    Attributes
    ----------
    name : StoreName
        Of the store.
    of : StoreName
        The prepared store whose people are put elsewhere.
    stages : tuple[Stage, ...]
        Where; one trial of every person is played on each.
    """

    name: StoreName
    of: StoreName
    stages: tuple[Stage, ...]


def derivations() -> tuple[Derivation, ...]:
    """List the derived stores of all domains."""
    room = ring_stage(TRAINING_CAMERAS, TRAINING_SPREAD_M)
    chest, above = (
        (replace(room, cameras=tuple(TRAINING_CAMERAS[number] for number in numbers)),)
        for numbers in (CAMERA_SETS["mm3d_chest"], _ABOVE)
    )
    outdoor = tuple(
        frontal_stage(camera_of_test_sequence(name), TEST_DISTANCE_M, TEST_SPREAD_M) for name in _OUTDOOR
    )
    return (
        Derivation("test_at_chest_height", "mpi_inf_3dhp_test", chest),
        Derivation("test_from_above", "mpi_inf_3dhp_test", above),
        Derivation("train_outdoor", "mpi_inf_3dhp_train", outdoor),
        Derivation("test_outdoor", "mpi_inf_3dhp_test", outdoor),
        Derivation("source_at_chest_height", "human36m", chest),
        Derivation("source_from_above", "human36m", above),
        Derivation("source_outdoor", "human36m", outdoor),
    )
