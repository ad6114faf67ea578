"""What a lifter has learned from, and the terms of that."""

import pytest
from pydantic import ValidationError

from poseshift.training.licences import (
    CMU,
    HUMAN36M,
    MPI_INF_3DHP,
    PROCEDURAL,
    RECORDED_AS,
    UNKNOWN,
    LearnedFrom,
    Terms,
    inherited,
    learned_from,
    licence_of,
    terms_of,
)

CMU_TITLE = "CMU Graphics Lab Motion Capture Database, selected trials on the Human3.6M 17-joint skeleton"


def recorded(*parts: LearnedFrom) -> dict[str, object]:
    return {RECORDED_AS: [part.model_dump(mode="json") for part in parts]}


@pytest.mark.parametrize(
    ("dataset", "motion", "terms"),
    [
        ("free_motion", CMU_TITLE, CMU),
        ("human36m", CMU_TITLE, CMU),
        ("human36m", None, HUMAN36M),
        ("mpi_inf_3dhp_train", None, MPI_INF_3DHP),
        ("mpi_inf_3dhp_test", None, MPI_INF_3DHP),
        ("free_motion", "procedural motion, seed 0", PROCEDURAL),
        ("free_motion", "ASF/AMC motion from cmu", UNKNOWN),
        ("my_rig", None, UNKNOWN),
        ("human36m", "unknown", UNKNOWN),
    ],
)
def test_terms_are_those_of_the_motion_or_of_the_recordings(
    dataset: str, motion: str | None, terms: Terms
) -> None:
    assert terms_of(LearnedFrom(role="labelled", dataset=dataset, motion=motion)) == terms


def test_cmus_terms_have_the_notice_and_the_acknowledgement() -> None:
    assert "may not be resold directly, even in converted form" in CMU.text
    assert "was obtained from mocap.cs.cmu.edu" in CMU.text
    assert "NSF EIA-0196217" in CMU.text


def test_the_narrowest_part_decides() -> None:
    free = LearnedFrom(role="labelled", dataset="free_motion", motion=CMU_TITLE)
    own = LearnedFrom(role="target", dataset="my_rig")
    research = LearnedFrom(role="watched", dataset="human36m")
    assert licence_of("a", recorded(free)).use == "free"
    assert licence_of("b", recorded(free, own)).use == "unknown"
    assert licence_of("c", recorded(free, own, research)).use == "research only"
    assert [part.data for part in licence_of("c", recorded(free, own, research)).parts] == [
        free,
        own,
        research,
    ]


@pytest.mark.parametrize("provenance", [{}, {RECORDED_AS: []}, {"inputs": 3}, {"inputs": {"labelled": None}}])
def test_what_is_not_recorded_is_unknown(provenance: dict[str, object]) -> None:
    found = licence_of("old", provenance)
    assert found.use == "unknown"
    assert found.parts[0].data.dataset == "unknown"


def test_a_lifter_of_before_names_its_data_set_but_not_its_motion() -> None:
    (found,) = learned_from({"inputs": {"labelled": {"dataset": "human36m", "snapshot": "X"}}})
    assert found == LearnedFrom(role="labelled", dataset="human36m", motion="unknown")


def test_an_earlier_lifters_data_are_passed_on() -> None:
    earlier = recorded(LearnedFrom(role="labelled", dataset="human36m", snapshot="X"))
    (passed,) = inherited(earlier)
    assert passed == LearnedFrom(role="initial", dataset="human36m", snapshot="X")
    assert licence_of("tuned", recorded(passed)).use == "research only"


def test_a_damaged_record_is_refused() -> None:
    with pytest.raises(ValidationError, match="dataset"):
        learned_from({RECORDED_AS: [{"role": "labelled"}]})
