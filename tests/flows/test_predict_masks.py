"""Predictions that masks refine: what is moved, recorded and refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.experiment.masks import MaskOptions
from poseshift.flows.experiment.predict import PredictionOptions, PredictionRecord, predict_store
from poseshift.flows.experiment.recipe import Recipe
from poseshift.storage.mask_files import MaskError
from poseshift.storage.store import PoseStore
from poseshift.training.prediction.mask_refinement import MaskRefinement
from poseshift.training.prediction.smoothing import NoSmoothing
from poseshift.training.rendering.body_model import PARTS

CAMERA = "54138969"
QUICK = MaskRefinement(steps=2, size_px=16)


@pytest.fixture
def masks(prepared: Recipe, tmp_path: Path) -> Path:
    """Boxes about the keypoints of two frames of the first trial, before one camera with a lens."""
    store = PoseStore.open(prepared.source.store)
    key = next(key for key in store.keys() if key.subject == "S1")
    cameras = store.trial_attributes(key).cameras
    number = [camera.name for camera in cameras].index(CAMERA)
    place = tmp_path / "masks" / key.path / CAMERA
    place.mkdir(parents=True)
    for frame in (2, 5):
        seen = store.read_array(key, "keypoints_2d")[number, frame]
        width, height = cameras[number].size_px
        mask = np.zeros((height, width), dtype=np.uint8)
        (left, top), (right, bottom) = seen.min(axis=0).astype(int), seen.max(axis=0).astype(int)
        mask[top:bottom, left:right] = 255
        Image.fromarray(mask).save(place / f"{frame:06d}.png")
    return tmp_path / "masks"


def options(masks: Path | None) -> PredictionOptions:
    chosen = None if masks is None else MaskOptions(folder=masks, refinement=QUICK)
    return PredictionOptions(subjects=("S1",), cameras=(CAMERA,), smoothing=NoSmoothing(), masks=chosen)


def test_only_frames_with_a_mask_are_moved_and_all_is_recorded(
    prepared: Recipe, lifter: Path, masks: Path, tmp_path: Path
) -> None:
    store = prepared.source.store
    plain = predict_store(lifter, store, options(None), tmp_path / "plain", "cpu").record
    fitted = predict_store(lifter, store, options(masks), tmp_path / "fitted", "cpu").record
    first = fitted.motions[0].files["npz"]
    before, after = (np.load(tmp_path / name / first)["positions"] for name in ("plain", "fitted"))
    floor = (fitted.motions[0].floor_m or 0) - (plain.motions[0].floor_m or 0)
    moved = np.abs(after + np.array([0, 0, floor]) - before).max(axis=(1, 2)) > 1e-4
    assert np.flatnonzero(moved).tolist() == [2, 5]
    assert [one.refined_frames for one in fitted.refined] == [2, *(0,) * (len(fitted.motions) - 1)]
    assert set(fitted.refined[0].girths) == set(PARTS)
    assert any("Poses of 2 of" in said and "silhouettes" in said for said in fitted.assumptions)
    assert "masks" not in plain.model_dump_json()
    assert "refined" not in plain.model_dump()
    assert predict_store(lifter, store, options(masks), tmp_path / "fitted", "cpu").reused
    picture = next(masks.rglob("*.png"))
    changed = np.asarray(Image.open(picture)).copy()
    changed[0, 0] = 255
    Image.fromarray(changed).save(picture)
    with pytest.raises(FileExistsError, match="holds another prediction"):
        predict_store(lifter, store, options(masks), tmp_path / "fitted", "cpu")


def test_masks_that_cannot_be_used_are_told_and_nothing_is_written(
    prepared: Recipe, lifter: Path, masks: Path, tmp_path: Path
) -> None:
    store, out = prepared.source.store, tmp_path / "out"
    (tmp_path / "empty").mkdir()
    with pytest.raises(MaskError, match=rf"empty: found no mask of any frame.*{CAMERA}/000000.png"):
        predict_store(lifter, store, options(tmp_path / "empty"), out, "cpu")
    Image.new("L", (30, 20)).save(next(masks.rglob("*.png")))
    command = ["predict", str(lifter), store, "--out", str(out), "--subject", "S1", "--camera", CAMERA]
    done = CliRunner().invoke(app, [*command, "--masks", str(masks), "--json"])
    assert done.exit_code == 1
    assert "found 30 x 20 px; expected 1000 x 1002 px" in json.loads(done.stdout)["error"]["message"]
    done = CliRunner().invoke(app, [*command, "--masks", str(tmp_path / "nowhere")])
    assert done.exit_code == 1
    assert "found no folder" in done.output
    assert not out.exists()


def test_part_masks_as_a_command(prepared: Recipe, lifter: Path, masks: Path, tmp_path: Path) -> None:
    next(masks.rglob("*.png")).unlink()
    labels = {part: [255] for part in PARTS}
    (masks / "labels.json").write_text(json.dumps(labels))
    command = ["predict", str(lifter), prepared.source.store, "--out", str(tmp_path / "out"), "--json"]
    chosen = ["--subject", "S1", "--camera", CAMERA, "--masks", str(masks)]
    done = CliRunner().invoke(app, [*command, *chosen])
    assert done.exit_code == 0, done.output
    record = PredictionRecord.model_validate_json(done.stdout)
    assert record.inputs.masks_sha256
    assert any("part masks" in said for said in record.assumptions)
