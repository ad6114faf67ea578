import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from poseshift.storage.files import write_atomically
from poseshift.training.checkpoint import DESCRIPTION_FILE, WEIGHTS_FILE, load_lifter, load_state, save_lifter
from poseshift.training.lifters.ampose import AMPoseConfig
from poseshift.training.lifters.registry import build

TINY = AMPoseConfig(width=8, pairs=1, heads=2)


@pytest.fixture
def saved(tmp_path):
    lifter = build(TINY, 3, seed=4)
    lifter(torch.randn(8, 1, 17, 3))  # moves the running statistics: buffers count as well
    save_lifter(tmp_path / "lifter", TINY, "perspective", lifter, {"seed": 4, "data": {"rows": 10}})
    return tmp_path / "lifter", lifter.eval()


def test_round_trip(saved) -> None:
    folder, lifter = saved
    trained = load_lifter(folder)
    assert trained.config == TINY
    assert trained.encoding.name == "perspective"
    assert trained.provenance == {"seed": 4, "data": {"rows": 10}}
    assert not trained.lifter.training
    x = torch.randn(5, 1, 17, 3)
    assert torch.equal(trained.lifter(x), lifter(x))


def test_description_can_be_read_by_people(saved) -> None:
    description = json.loads((saved[0] / DESCRIPTION_FILE).read_text())
    assert description["skeleton"] == "human36m_17"
    assert description["lifter"]["width"] == 8


def test_a_folder_without_a_lifter(tmp_path, saved) -> None:
    with pytest.raises(FileNotFoundError, match=r"lifter\.json is missing"):
        load_lifter(tmp_path)
    (saved[0] / WEIGHTS_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"lifter\.safetensors is missing"):
        load_lifter(saved[0])


def test_weights_of_another_size(saved) -> None:
    folder, _ = saved
    other = build(AMPoseConfig(width=16, pairs=1, heads=2), 3)
    (folder / WEIGHTS_FILE).write_bytes(save(dict(other.state_dict())))
    with pytest.raises(ValueError, match="do not fit"):
        load_lifter(folder)


def test_damaged_weights(saved) -> None:
    folder, _ = saved
    (folder / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes()[:100])
    with pytest.raises(ValueError, match=r"lifter\.safetensors"):
        load_lifter(folder)


def test_description_of_something_else(saved) -> None:
    folder, _ = saved
    (folder / DESCRIPTION_FILE).write_text('{"format": "poseshift-lifter", "format_version": 99}')
    with pytest.raises(ValueError, match="does not describe a lifter of this version"):
        load_lifter(folder)


class Malicious:
    """Runs code when it is unpickled: makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_malicious_state_is_refused_and_does_not_run(tmp_path) -> None:
    trace = tmp_path / "was-here"
    torch.save({"step": 1, "surprise": Malicious(trace)}, tmp_path / "zipped.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"surprise": Malicious(trace)}, protocol=2))
    for name in ("zipped.pt", "plain.pt"):
        with pytest.raises(ValueError, match="not a state of this trainer"):
            load_state(tmp_path / name)
    assert not trace.exists()
    torch.load(tmp_path / "zipped.pt", weights_only=False)  # it does bite when it is let
    assert trace.exists()


@pytest.mark.parametrize("name", [WEIGHTS_FILE, DESCRIPTION_FILE])
def test_a_malicious_lifter_is_refused_and_does_not_run(saved, tmp_path, name) -> None:
    folder, _ = saved
    trace = tmp_path / "was-here"
    (folder / name).write_bytes(pickle.dumps({"surprise": Malicious(trace)}))
    with pytest.raises(ValueError, match=name):
        load_lifter(folder)
    torch.save({"surprise": Malicious(trace)}, folder / name)
    with pytest.raises(ValueError, match=name):
        load_lifter(folder)
    assert not trace.exists()


def test_weights_that_claim_more_than_they_are(saved) -> None:
    folder, _ = saved
    header = json.dumps({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    for claimed in (len(header), 2**60):
        (folder / WEIGHTS_FILE).write_bytes(claimed.to_bytes(8, "little") + header)
        with pytest.raises(ValueError, match="do not fit"):
            load_lifter(folder)


def test_writing_is_atomic(tmp_path, monkeypatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
