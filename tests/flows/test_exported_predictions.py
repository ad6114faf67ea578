"""Predictions for the MATLAB scripts of MPI-INF-3DHP, scored by a transcription of those scripts."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.experiment.evaluate import EvaluationRecord, evaluate_lifter
from poseshift.flows.experiment.recipe import Recipe, StoredData, Test
from poseshift.storage.columns import CameraPoses
from poseshift.training.evaluation.scaled import Predicted

SEQUENCES = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")

# mpii_get_pck_auc_joint_groups.m, counted from 1 as there.
GROUPS = ((1,), (2,), (3, 6), (4, 7), (5, 8), (9, 12), (10, 13), (11, 14))


def joint_errors(predicted: np.ndarray, annotations: Path) -> np.ndarray:
    """As mpii_test_predictions.m: 17 x valid frames, millimetres; MATLAB's axes from here on."""
    with h5py.File(annotations) as file:
        truth = np.asarray(file["univ_annot3"]).transpose(3, 2, 1, 0)  # HDF5 has them the other way round
        valid = np.asarray(file["valid_frame"]).ravel()
    errors, place = [], 0
    for frame in range(len(valid)):
        if valid[frame]:
            pose = truth[:, :, 0, frame] - truth[:, 14:15, 0, frame]
            errors.append(np.sqrt(((predicted[:, :, 0, place] - pose) ** 2).sum(axis=0)))
            place += 1
    assert predicted.shape == (3, 17, 1, place)
    return np.stack(errors, axis=-1)


def share_right(errors: np.ndarray, threshold: float) -> float:
    """Total of mpii_compute_3d_pck.m: groups weighted by their joints."""
    total = 0.0
    for group in GROUPS:
        right = sum((errors[joint - 1] < threshold).sum() for joint in group)
        total += right / (len(group) * errors.shape[1]) * len(group)
    return total / sum(len(group) for group in GROUPS)


def scores(errors: np.ndarray) -> tuple[float, float, float]:
    """MPJPE in millimetres, PCK and AUC in percent."""
    thresholds = np.arange(0, 151, 5)
    area = sum(share_right(errors, threshold) for threshold in thresholds) / len(thresholds)
    return float(errors.mean()), 100 * share_right(errors, 150), 100 * area


def test_the_official_formula_finds_the_figures_of_the_evaluation(
    prepared: Recipe, restaged: Path, lifter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)

    def near_the_truth(_: object, poses: CameraPoses, **__: object) -> Predicted:
        """Absolute, and wrong by another distance for every joint, so that exchanged joints would show."""
        size = np.linspace(0.01, 0.15, 17)[:, None]
        noise = random.normal(scale=size, size=poses.positions_camera.shape)
        return Predicted((poses.positions_camera + noise).astype(np.float32), None)

    monkeypatch.setattr("poseshift.flows.experiment.evaluate.predict_scaled", near_the_truth)
    record: EvaluationRecord = evaluate_lifter(lifter, prepared.test, tmp_path / "results", "cpu").result
    file = tmp_path / "matlab" / "inference_data.mat"
    done = CliRunner().invoke(app, ["export", "predictions", str(tmp_path / "results"), str(file)])
    assert done.exit_code == 0, done.output

    written = {name: array for name, array in scipy.io.loadmat(file).items() if not name.startswith("__")}
    assert sorted(written) == list(SEQUENCES)
    result = record.under("3dhp-official")
    by_sequence = {row.subject: row for row in result.per_sequence}
    every = []
    for name in SEQUENCES:
        np.testing.assert_array_equal(written[name][:, 14], 0)
        (annotations,) = (restaged / "mpi_inf_3dhp").rglob(f"{name}/annot_data.mat")
        every.append(joint_errors(written[name], annotations))
        row = by_sequence[name]
        assert scores(every[-1])[1:] == pytest.approx((row.pck150, row.auc), abs=1e-6)
    mpjpe, pck, auc = scores(np.concatenate(every, axis=1))
    assert 20 < auc < pck < 99
    assert pck == pytest.approx(result.pck150.value, abs=1e-6)
    assert auc == pytest.approx(result.auc.value, abs=1e-6)
    assert mpjpe == pytest.approx(result.mpjpe_mm.value, abs=1e-3)  # stores hold float32


def test_other_data_sets_and_protocols_are_refused(prepared: Recipe, lifter: Path, tmp_path: Path) -> None:
    def refusal(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["export", "predictions", *arguments, str(tmp_path / "file.mat")])
        assert done.exit_code == 1
        assert not (tmp_path / "file.mat").exists()
        return done.stderr

    results = tmp_path / "results"
    of_human36m = Test(
        data=StoredData(dataset="human36m", store=prepared.source.store), protocols=("human36m-p1",)
    )
    evaluate_lifter(lifter, of_human36m, tmp_path / "human36m", "cpu")
    evaluate_lifter(lifter, prepared.test, results, "cpu")
    wanted = "read predictions for mpi_inf_3dhp_test, but"
    assert f"{wanted} {tmp_path / 'human36m'} is of human36m" in refusal(str(tmp_path / "human36m"))
    message = refusal(str(results), "--protocol", "human36m-p1")
    assert f"{wanted} protocol human36m-p1 measures human36m" in message
    assert "3dhp-poseaug16.npz is missing" in refusal(str(results), "--protocol", "3dhp-poseaug16")
    assert "holds no evaluation" in refusal(str(lifter))
