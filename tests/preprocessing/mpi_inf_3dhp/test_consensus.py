import numpy as np
import pytest

from poseshift.geometry.projection import world_to_camera
from poseshift.preprocessing.mpi_inf_3dhp.consensus import world_consensus
from poseshift.preprocessing.mpi_inf_3dhp.layout import TRAINING_CAMERAS
from poseshift.preprocessing.mpi_inf_3dhp.write import round_significant


@pytest.fixture
def world() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(30, 17, 3)) * (0.5, 0.5, 0.3) + (0, 0, 1)


def views_mm(world: np.ndarray) -> np.ndarray:
    return np.stack(
        [
            round_significant(1000 * world_to_camera(world, np.array(c.rotation), np.array(c.translation)))
            for c in TRAINING_CAMERAS
        ]
    )


def test_rounded_views_agree_on_the_world(world):
    consensus = world_consensus(views_mm(world), TRAINING_CAMERAS)
    np.testing.assert_allclose(consensus.positions_world, world, atol=1e-5)
    assert consensus.max_mm < 0.03
    assert (consensus.median_mm < 0.01).all()


def test_a_slip_of_one_camera_shows_in_the_figures_and_not_in_the_world(world):
    views = views_mm(world)
    views[5, 7] += 300
    consensus = world_consensus(views, TRAINING_CAMERAS)
    np.testing.assert_allclose(consensus.positions_world, world, atol=1e-5)
    assert consensus.max_mm == pytest.approx(300 * np.sqrt(3), rel=1e-3)


def test_a_camera_that_is_off_is_the_one_that_stands_out(world):
    views = views_mm(world)
    views[11] += (40, 0, 0)
    consensus = world_consensus(views, TRAINING_CAMERAS)
    assert consensus.median_mm.argmax() == 11
    assert consensus.median_mm[11] == pytest.approx(40, rel=1e-3)
    assert np.delete(consensus.median_mm, 11).max() < 0.01
