"""``poseshift export model``: file and card, recorded figures, and nothing overwritten unasked."""

import json
from pathlib import Path

import torch
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.experiment.folder import RunFolder, Trained
from poseshift.flows.experiment.recipe import Recipe


def test_a_runs_lifter_becomes_a_file_with_a_card(
    finished: tuple[Recipe, tuple[Trained, ...]], tmp_path: Path
) -> None:
    recipe, trained = finished
    lifter = RunFolder(recipe.run_dir).lifter(trained[0].method, trained[0].seed)
    file, beside = tmp_path / "lifter.pt2", tmp_path / "lifter.pt2.md"
    call = ["export", "model", str(lifter), "--out", str(file), "--json"]

    wrong = CliRunner().invoke(app, [*call, "--format", "onnx"])
    assert wrong.exit_code == 1
    assert "--format says onnx" in wrong.stderr
    file.write_bytes(b"something of mine")
    refused = CliRunner().invoke(app, call)
    assert refused.exit_code == 1
    assert "--replace" in refused.stderr
    assert file.read_bytes() == b"something of mine"
    assert not beside.exists()

    written = CliRunner().invoke(app, [*call, "--replace"])
    assert written.exit_code == 0, written.stderr
    found = json.loads(written.stdout)
    assert found["bytes"] == file.stat().st_size
    assert found["difference_m"] < 1e-4
    program = torch.export.load(file).module()
    intrinsics = [torch.full((1, 2), value) for value in (1100.0, 500.0, 1000.0)]
    assert program(torch.full((1, 1, 17, 2), 400.0), *intrinsics).shape == (1, 17, 3)

    card = beside.read_text(encoding="utf-8")
    for told in (
        "16. right_wrist",
        "metres relative to pelvis, in camera axes",
        "x right, y down, z forward",
        "`screen`",
    ):
        assert told in card
    assert f"motion: {trained[0].evaluation.restaged_from}" in card
    for result in trained[0].evaluation.results:
        assert f"| {result.protocol} | {result.frames:,} | {result.mpjpe_mm.value:.1f} |" in card
