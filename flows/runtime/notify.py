"""A message when a run fails in the night: e-mail, a webhook, a chat, by the addresses of Apprise.

The addresses hold passwords, so they are read from the environment alone (``POSESHIFT_NOTIFY``, several of
them separated by white space) and never from a recipe, which is copied into the run's folder and to Prefect.
Neither logs nor errors show them; a service that did not take the message is named by its kind.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

logger = logging.getLogger(__name__)

ADDRESSES = "POSESHIFT_NOTIFY"
MOST_CHARACTERS = 8000
"""Longer messages are cut; the log holds the whole."""


@contextmanager
def failure_told(what: str) -> Iterator[None]:
    """Send a message when the block fails, and let the error go on.

    Parameters
    ----------
    what : str
        Names the run, such as ``watch human36m_to_3dhp``.
    """
    try:
        yield
    except Exception as error:
        send(f"PoseShift: {what} failed", f"{type(error).__name__}: {error}")
        raise


def crash_told(flow: Any, flow_run: Any, state: Any) -> None:
    """Prefect's hook of a run whose process was killed; called by the runner, where there is one."""
    del flow
    send(f"PoseShift: {flow_run.name} crashed", state.message or "its process ended without a word")


def send(title: str, text: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send a message to every address that is set; False when one did not take it.

    A message that cannot be sent is logged and changes nothing else.
    """
    addresses = environment.get(ADDRESSES, "").split()
    if not addresses:
        return True
    try:
        import apprise  # optional: poseshift[notify]
    except ImportError:
        logger.error(
            "%s is set, but apprise is not installed; no message was sent. pip install 'poseshift[notify]'",
            ADDRESSES,
        )
        return False
    body = f"{text[:MOST_CHARACTERS]}\n\non {socket.gethostname()}"
    sent = [_sent(apprise, address, title, body) for address in addresses]
    return all(sent)


def _sent(apprise: Any, address: str, title: str, body: str) -> bool:
    kind = address.partition("://")[0] if "://" in address else "an address without ://"
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its messages may hold addresses
    try:
        to = apprise.Apprise()
        if not to.add(address):
            logger.error("no message was sent by %s: Apprise knows no such address", kind)
            return False
        if to.notify(title=title, body=body, notify_type=apprise.NotifyType.FAILURE):
            return True
        logger.error("no message was sent by %s: the service did not take it", kind)
    except Exception as error:  # one service's fault must not hide the run's own error
        logger.error("no message was sent by %s: %s", kind, type(error).__name__)
    return False
