"""The one place where time matters: Icechunk refuses a commit that is dated before its parent.

A small step back (a clock that was set right, two machines that differ a little) is waited out; a large one
is an error before any work is done, for nobody wants to learn of it when the work is finished.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from poseshift.storage.errors import StoreError

LONGEST_WAIT = timedelta(seconds=30)


def wait_until_after(committed_at: datetime) -> None:
    """Return as soon as the clock is past the last commit.

    Raises
    ------
    StoreError
        When that takes longer than :data:`LONGEST_WAIT`.
    """
    behind = committed_at - datetime.now(UTC)
    if behind > LONGEST_WAIT:
        raise StoreError(
            f"this machine's clock ({datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC) is before the store's last "
            f"commit ({committed_at:%Y-%m-%d %H:%M:%S} UTC); nothing was written. Set the clock right and "
            "run it again."
        )
    while datetime.now(UTC) <= committed_at:
        time.sleep(0.01)
