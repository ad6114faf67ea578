"""What Prefect needs of the machine it is a guest on, looked at before a flow is started.

A server that is gone, a home folder that cannot be written to, another user's temporary folder: each would
end in a traceback from inside Prefect. Here each is one message that says what to do.
"""

from __future__ import annotations

import json
import os
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from poseshift.flows.runtime.loopback import LOOPBACK
from poseshift.storage.files import owner_of, problem_of_writing

PATIENCE_SECONDS = 10.0
"""How long the Prefect server may take to answer that it is there."""


class PrefectNotReadyError(RuntimeError):
    """Prefect cannot work with the settings and folders that it finds; the message says what to change."""


def prefect_home() -> Path:
    """Folder in which Prefect keeps its database, without importing Prefect."""
    named = os.environ.get("PREFECT_HOME")
    return Path(named).expanduser() if named else Path.home() / ".prefect"


def names_server() -> bool:
    """Whether a Prefect server is named, by the environment or by one of Prefect's own files.

    Prefect is imported, and asked, only where one of its files may name a server: importing it takes a
    second, and it makes its folder.
    """
    address = os.environ.get("PREFECT_API_URL")
    if address is not None:
        return bool(address)
    if "PREFECT_PROFILE" not in os.environ and not any(_holds(file, word) for file, word in _settings()):
        return False
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


def _settings() -> Iterator[tuple[Path, str]]:
    """Files of Prefect's settings, each with what it holds when it may name a server."""
    profiles = os.environ.get("PREFECT_PROFILES_PATH")
    yield Path(profiles) if profiles else prefect_home() / "profiles.toml", "PREFECT_API_URL"
    yield Path("prefect.toml"), ""
    yield Path("pyproject.toml"), "tool.prefect"
    yield Path(".env"), "PREFECT"


def _holds(file: Path, word: str) -> bool:
    try:
        return word in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def require_ready() -> None:
    """Make sure that a flow can be run from here.

    Raises
    ------
    PrefectNotReadyError
        No Prefect server answers at the address that is set, or, without one, Prefect's own folder cannot be
        written to.
    """
    from prefect.settings import PREFECT_API_URL

    address = PREFECT_API_URL.value()
    if address:
        require_server(address)
    else:
        require_home(prefect_home())


def flow_page() -> str | None:
    """Address of the page that shows running flows; None when the server ends with the command."""
    from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL

    return f"{PREFECT_UI_URL.value()}/runs" if PREFECT_API_URL.value() else None


def require_home(home: Path) -> None:
    """Raise :class:`PrefectNotReadyError` when Prefect's folder cannot be written to."""
    problem = problem_of_writing(home)
    if problem is not None:
        raise PrefectNotReadyError(
            f"Prefect keeps its database in {home}, which cannot be written to ({problem}). Name a folder "
            "that can: export PREFECT_HOME=/path/to/folder"
        )


def require_runner_storage() -> None:
    """Raise :class:`PrefectNotReadyError` when the temporary folder of served flows is somebody else's."""
    folder = Path(tempfile.gettempdir()) / "runner_storage"  # where prefect.runner puts it
    problem = problem_of_writing(folder)
    if problem is not None:
        owner = f", which belongs to {owner_of(folder)}" if folder.exists() else ""
        raise PrefectNotReadyError(
            f"Prefect keeps files of served flows in {folder}{owner} and cannot be written to ({problem}). "
            "Use a temporary folder of your own: mkdir -p ~/tmp && export TMPDIR=~/tmp"
        )


def require_server(address: str) -> None:
    """Make sure that a Prefect server answers at an address.

    Parameters
    ----------
    address : str
        Of the API, as in ``PREFECT_API_URL``.

    Raises
    ------
    PrefectNotReadyError
        Nothing answers there, or what answers is no Prefect server.
    """
    problem = _problem_of_server(address)
    if problem is not None:
        raise PrefectNotReadyError(
            f"no Prefect server answers at {address} ({problem}). Start it (`prefect server start`), or work "
            "without one: `unset PREFECT_API_URL`, and `prefect config unset PREFECT_API_URL` where a "
            "profile sets it"
        )


def _problem_of_server(address: str) -> str | None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "not an address such as http://127.0.0.1:4200/api"
    proxies: dict[str, str] | None = {} if parts.hostname in LOOPBACK else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        with opener.open(f"{address.rstrip('/')}/health", timeout=PATIENCE_SECONDS) as answer:
            content = answer.read(1000)
    except urllib.error.HTTPError as error:
        # Authentication is Prefect's own affair; that something asks for it is enough here.
        return None if error.code in (401, 403) or _is_cloud(parts.hostname) else f"HTTP status {error.code}"
    except urllib.error.URLError as error:
        return None if isinstance(error.reason, ssl.SSLError) else str(error.reason)
    except (TimeoutError, OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return None if _is_cloud(parts.hostname) or _says_true(content) else "another program has this port"


def _is_cloud(host: str) -> bool:
    return host.endswith("prefect.cloud")


def _says_true(content: bytes) -> bool:
    try:
        return json.loads(content) is True
    except ValueError:
        return False
