import pytest
import torch

from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import encoding
from poseshift.training.export import ExportError, export_lifter
from poseshift.training.lifters.ampose import AMPoseConfig
from poseshift.training.lifters.registry import build


def _trained() -> TrainedLifter:
    config = AMPoseConfig(width=8, pairs=1, heads=2)
    return TrainedLifter(build(config, 2), encoding("ray"), config, {})


def test_exported_program_answers_as_the_lifter_for_any_batch(tmp_path) -> None:
    trained = _trained()
    path = tmp_path / "lifter.pt2"
    assert export_lifter(trained, path) < 1e-5
    program = torch.export.load(path).module()
    for batch in (1, 3, 64):
        keypoints = torch.randn(batch, 1, 17, 2)
        torch.testing.assert_close(program(keypoints), trained.lifter(keypoints), atol=1e-5, rtol=0)


def test_a_program_that_answers_otherwise_is_not_written(tmp_path, monkeypatch) -> None:
    trained = _trained()
    honest = torch.export.load

    def other_weights(file):
        program = honest(file)
        with torch.no_grad():
            program.state_dict["head.bias"].add_(1.0)
        return program

    monkeypatch.setattr(torch.export, "load", other_weights)
    with pytest.raises(ExportError, match="off the lifter"):
        export_lifter(trained, tmp_path / "lifter.pt2")
    assert not (tmp_path / "lifter.pt2").exists()
