"""Prefect as a guest: each thing that it lacks is one message that says what to do."""

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from poseshift.flows.runtime import guest
from poseshift.flows.runtime.guest import (
    PrefectNotReadyError,
    require_home,
    require_runner_storage,
    require_server,
)
from poseshift.flows.runtime.loopback import keep_loopback_from_proxies


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "a.example, b.example"}, "a.example,b.example,127.0.0.1,localhost,::1"),
        ({"no_proxy": "x", "NO_PROXY": "y"}, "x,y,127.0.0.1,localhost,::1"),
        ({"no_proxy": "localhost"}, "localhost,127.0.0.1,::1"),
    ],
)
def test_loopback_is_excepted_in_both_spellings(before: dict[str, str], expected: str) -> None:
    environment = dict(before)
    keep_loopback_from_proxies(environment)
    assert environment["no_proxy"] == environment["NO_PROXY"] == expected


def test_everything_excepted_stays_as_it_is() -> None:
    environment = {"NO_PROXY": "*"}
    keep_loopback_from_proxies(environment)
    assert environment == {"NO_PROXY": "*"}


@contextmanager
def answering(content: bytes, status: int = 200) -> Iterator[str]:
    """Serve one answer to everything on the loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
    finally:
        server.shutdown()
        server.server_close()


def test_a_prefect_server_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with answering(b"true") as address:
        require_server(address)
    with answering(b"", status=401) as address:
        require_server(address)


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [(b"<html>", 200, "another program has this port"), (b"", 404, "HTTP status 404")],
)
def test_another_program_is_no_prefect_server(content: bytes, status: int, told: str) -> None:
    with answering(content, status) as address, pytest.raises(PrefectNotReadyError, match=told) as caught:
        require_server(address)
    assert address in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dead_address_is_named_with_the_remedy() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/api"
    for wrong in (address, "http://no.such.host.invalid/api", "127.0.0.1:4200", "ftp://x/api"):
        with pytest.raises(PrefectNotReadyError, match="PREFECT_API_URL") as caught:
            require_server(wrong)
        assert wrong in str(caught.value)


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest, "PATIENCE_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(PrefectNotReadyError, match="timed out"):
            require_server(f"http://127.0.0.1:{silent.getsockname()[1]}/api")


def test_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(PrefectNotReadyError, match="PREFECT_HOME") as caught:
        require_home(in_the_way / ".prefect")
    assert str(in_the_way / ".prefect") in str(caught.value)
    require_home(tmp_path / "new" / "home")
    assert list((tmp_path / "new" / "home").iterdir()) == []


def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    assert guest.prefect_home() == tmp_path / ".prefect"
    monkeypatch.setenv("PREFECT_HOME", "~/elsewhere")
    assert guest.prefect_home() == tmp_path / "elsewhere"


def test_runner_storage_of_another_user_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guest.tempfile, "gettempdir", lambda: str(tmp_path))
    require_runner_storage()
    (tmp_path / "runner_storage").rmdir()
    (tmp_path / "runner_storage").write_text("a file, which root cannot write into either")
    with pytest.raises(PrefectNotReadyError, match="TMPDIR") as caught:
        require_runner_storage()
    assert str(tmp_path / "runner_storage") in str(caught.value)
