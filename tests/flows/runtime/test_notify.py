"""Messages about failed runs, on a real HTTP server on the loopback."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.flows.runtime.notify import ADDRESSES, failure_told, send

SECRET = "tok3n-that-nobody-may-see"  # noqa: S105 - of no service


class Webhook(ThreadingHTTPServer):
    def __init__(self, status: int) -> None:
        self.status = status
        self.messages: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Taking)

    @property
    def address(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.server_address[1]}/night"


class _Taking(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append(json.loads(content))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(params=[200])
def webhook(request: pytest.FixtureRequest) -> Iterator[Webhook]:
    with Webhook(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def test_a_failed_block_is_told_and_its_error_goes_on(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESSES, webhook.address)
    with pytest.raises(ValueError, match="half"), failure_told("watch small"):
        raise ValueError("S1/Seq1/annot.mat: half of it is missing")
    (message,) = webhook.messages
    assert message["title"] == "PoseShift: watch small failed"
    assert "S1/Seq1/annot.mat: half of it is missing" in message["message"]
    with failure_told("watch small"):
        pass
    assert len(webhook.messages) == 1


@pytest.mark.parametrize("webhook", [500], indirect=True)
def test_a_service_that_does_not_take_it_is_named_without_its_password(
    webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    nobody = f"json://user:{SECRET}@127.0.0.1:9/night"
    wrong = f"no-such-service://user:{SECRET}@host"
    assert not send("title", "text", {ADDRESSES: f"{webhook.address}\n{nobody} {wrong} {SECRET}"})
    told = [record.getMessage() for record in caplog.records if record.name.startswith("poseshift")]
    assert len(told) == 4
    assert "json" in told[0]
    assert "no-such-service" in told[2]
    assert SECRET not in caplog.text


def test_a_look_that_fails_names_the_bad_files(
    webhook: Webhook,
    prepared: Recipe,
    restaged: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ADDRESSES, webhook.address)
    trees = tmp_path / "mpi_inf_3dhp"
    (trees / "S1" / "Seq1").mkdir(parents=True)
    for name in ("annot.mat", "camera.calibration"):
        content = (restaged / "mpi_inf_3dhp" / "S1" / "Seq1" / name).read_bytes()
        (trees / "S1" / "Seq1" / name).write_bytes(content[:200] if name == "annot.mat" else content)
    assert prepared.target is not None
    source = prepared.source.model_copy(update={"raw": None})
    target = prepared.target.model_copy(update={"raw": trees, "store": str(tmp_path / "store")})
    recipe = prepared.model_copy(
        update={"source": source, "target": target, "run_dir": tmp_path / "run", "name": "night"}
    )
    save_recipe(recipe, tmp_path / "recipe.yaml")
    result = CliRunner().invoke(app, ["watch", str(tmp_path / "recipe.yaml")])
    assert result.exit_code == 1
    (message,) = webhook.messages
    assert message["title"] == "PoseShift: watch night failed"
    assert str(trees / "S1" / "Seq1" / "annot.mat") in message["message"]
    assert "a damaged file" in message["message"]
    written = [path.read_text() for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert written
    assert not any(SECRET in text for text in (*written, result.output))
