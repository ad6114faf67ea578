"""Exported lifters: a file answers as the lifter does through the project's own path, for any batch."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from poseshift.storage.columns import CameraPoses
from poseshift.training.checkpoint import TrainedLifter, load_lifter
from poseshift.training.encoding import EncodingName, encoding
from poseshift.training.evaluation.answering import predict
from poseshift.training.export.card import Described, card
from poseshift.training.export.formats import MODEL_FORMATS, ExportError
from poseshift.training.export.lifter import export_lifter
from poseshift.training.export.program import Seen
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.simple_baseline import SimpleBaselineConfig
from poseshift.training.lifters.videopose3d import VideoPose3DConfig
from poseshift.training.shipped import lifter_folder


def seen_by_pinholes(poses: CameraPoses) -> tuple[CameraPoses, dict[str, np.ndarray]]:
    """The same poses before cameras without a lens, and what a user would give an exported file."""
    pinholes = replace(poses, cameras=tuple(camera.pinhole for camera in poses.cameras))
    cameras = pinholes.intrinsics[pinholes.camera]
    given = {"keypoints_px": poses.keypoints_px[:, None]} | {
        name: getattr(cameras, name) for name in Seen._fields[1:]
    }
    return pinholes, {name: np.asarray(one, dtype=np.float32) for name, one in given.items()}


@pytest.mark.slow
def test_onnx_of_the_shipped_lifter_answers_a_thousand_poses(poses_of, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    trained = load_lifter(lifter_folder(Path("free-motion-1")))
    exported = export_lifter(trained, MODEL_FORMATS["onnx"])
    assert exported.difference_m < 1e-4
    onnx.checker.check_model(onnx.load_from_string(exported.content), full_check=True)
    session = onnxruntime.InferenceSession(exported.content, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == list(Seen._fields)
    poses, given = seen_by_pinholes(poses_of(1000, 3))
    expected = predict(trained, poses)
    for rows in (slice(0, 1000), slice(0, 1), slice(5, 12)):
        part = {name: one[rows] for name, one in given.items()}
        (answers,) = session.run(["positions_m"], part)
        np.testing.assert_allclose(answers, expected[rows], atol=1e-4, rtol=0)


def test_a_lifter_that_is_not_translated_to_onnx_is_told_of(
    clips: TrainedLifter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise torch.onnx.OnnxExporterError("Failed to convert the program. \x1b[96mAnd much more")

    monkeypatch.setattr(torch.onnx, "export", stop)
    with pytest.raises(ExportError, match=r"as ONNX \(Failed to convert the program\).*pt2"):
        export_lifter(clips, MODEL_FORMATS["onnx"])


@pytest.fixture
def clips() -> TrainedLifter:
    """A lifter of clips of three frames, with weights as they were drawn."""
    config = VideoPose3DConfig(filter_widths=(3,), width=8)
    return TrainedLifter(build(config, 2, seed=0).eval(), encoding("screen"), config, {})


def test_pt2_answers_for_the_middle_frame_of_any_number_of_clips(clips: TrainedLifter) -> None:
    exported = export_lifter(clips, MODEL_FORMATS["pt2"])
    for batch in (1, 3):
        draw = torch.Generator().manual_seed(batch)
        keypoints = 1000 * torch.rand(batch, 3, 17, 2, generator=draw)
        cameras = [torch.full((batch, 2), value) for value in (1100.0, 500.0, 1000.0)]
        answer = MODEL_FORMATS["pt2"].run(exported.content, Seen(keypoints, *cameras))
        # Screen coordinates by their definition, width and height 1000 px.
        torch.testing.assert_close(answer, clips.lifter(keypoints / 500 - 1)[:, 0], atol=1e-5, rtol=0)


def test_a_lifter_that_is_told_of_intrinsics_takes_those_of_its_input_as_known() -> None:
    config, chosen = SimpleBaselineConfig(width=8, blocks=1), encoding("perspective_and_known")
    trained = TrainedLifter(build(config, chosen.channels).eval(), chosen, config, {})
    exported = export_lifter(trained, MODEL_FORMATS["pt2"])
    keypoints = 1000 * torch.rand(2, 1, 17, 2, generator=torch.Generator().manual_seed(0))
    size = torch.full((2, 2), 1000.0)
    near, far = (
        MODEL_FORMATS["pt2"].run(exported.content, Seen(keypoints, focal * size, size / 2, size))
        for focal in (1.0, 2.0)
    )
    assert not torch.allclose(near, far)


def test_a_program_that_answers_otherwise_is_refused(clips: TrainedLifter) -> None:
    kind = MODEL_FORMATS["pt2"]
    for wrong in (1.0, float("nan")):
        with pytest.raises(ExportError, match="off the lifter"):
            export_lifter(clips, replace(kind, run=lambda *file, wrong=wrong: kind.run(*file) + wrong))


@pytest.mark.parametrize("name", get_args(EncodingName))
def test_a_card_says_what_every_encoding_shows_a_lifter(name: EncodingName) -> None:
    chosen, config = encoding(name), SimpleBaselineConfig(width=8)
    trained = TrainedLifter(build(config, chosen.channels), chosen, config, {})
    described = Described("mine", "mine.pt2", "pt2", difference_m=0.0, poses=1, weights_sha256="0")
    assert f"- **Encoding** `{name}`: " in card(trained, described)
