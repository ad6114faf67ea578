"""Test-time optimisation and scales through the commands: what is measured, written and said."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poseshift.adaptation.test_time import PUBLISHED
from poseshift.flows.cli import app
from poseshift.flows.experiment.evaluate import EvaluationRecord
from poseshift.flows.experiment.predict import RECORD, PredictionOptions, PredictionRecord
from poseshift.flows.experiment.recipe import Recipe
from poseshift.training.checkpoint import LearnedScale, save_lifter
from poseshift.training.encoding import encoding
from poseshift.training.lifters.gumlp import GUMLPConfig
from poseshift.training.lifters.registry import build
from poseshift.training.prediction.views import LEARNED_SCALE


@pytest.fixture(scope="module")
def lifter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lifter that tells scales, but has learned nothing."""
    folder = tmp_path_factory.mktemp("lifter") / "lifter"
    config = GUMLPConfig(width=4, embedding=4, blocks=1)
    network = build(config, encoding("screen").channels)
    save_lifter(folder, config, "screen", network, {}, scale=LearnedScale(beside_rays=0.5))
    return folder


def test_evaluate_names_the_oracle_and_counts_coverage(prepared: Recipe, lifter: Path) -> None:
    store = prepared.test.data.store

    def evaluated(*options: str) -> EvaluationRecord:
        called = ["evaluate", str(lifter), store, "--protocol", "3dhp-annot3", *options, "--json"]
        result = CliRunner().invoke(app, called)
        assert result.exit_code == 0, result.output
        return EvaluationRecord.model_validate_json(result.stdout)

    plain, honest, oracle = (
        evaluated(),
        evaluated("--test-time", "uao"),
        evaluated("--test-time", "uao-oracle"),
    )
    assert plain.test_time is None
    assert oracle.test_time == str(PUBLISHED)
    assert oracle.test_time.startswith("uao, ORACLE")
    assert "ORACLE" not in honest.test_time
    figures = {one.under("3dhp-annot3").mpjpe_mm.value for one in (plain, honest, oracle)}
    assert len(figures) == 3
    for record in (plain, honest, oracle):
        (coverage,) = record.coverage
        assert coverage.protocol == "3dhp-annot3"
        assert coverage.recalibrated is not None
        assert 0 <= coverage.as_told.within_50 <= coverage.as_told.within_90 <= 100
    # each has a folder of its own, and the plain one is recorded as it always was
    written = {
        one.name for one in lifter.parent.iterdir() if one.is_dir() and one.name.startswith("evaluation")
    }
    assert written == {"evaluation", "evaluation-uao", "evaluation-uao-oracle"}
    assert "test_time" not in (lifter.parent / "evaluation/inputs.json").read_text()
    assert "ORACLE" in (lifter.parent / "evaluation-uao-oracle/done.json").read_text()


def test_predict_writes_the_scale_and_says_what_was_done(
    prepared: Recipe, lifter: Path, tmp_path: Path
) -> None:
    store = prepared.source.store
    called = [
        "predict",
        str(lifter),
        store,
        "--subject",
        "S1",
        "--test-time",
        "uao",
        "--out",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(app, called)
    assert result.exit_code == 0, result.output
    record = PredictionRecord.model_validate_json((tmp_path / "out" / RECORD).read_bytes())
    assert any("optimised at test time: uao, root by least squares" in one for one in record.assumptions)
    kinds = {motion.error_kind for motion in record.motions if motion.camera != "fused"}
    assert kinds == {LEARNED_SCALE}
    with pytest.raises(ValueError, match="needs 3D, which a prediction has not"):
        PredictionOptions(test_time=PUBLISHED)
    assert "test_time" not in json.loads(PredictionOptions().model_dump_json())
