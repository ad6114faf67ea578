"""Whether standard error is to hold JSON lines and nothing else; imports next to nothing."""

from __future__ import annotations

import os

AS_JSON = "POSESHIFT_LOG_JSON"
"""Environment variable by which the processes of scheduled runs hear of ``--log-json``."""


def in_json_lines() -> bool:
    """Whether ``--log-json`` was given, here or to the process that started this one."""
    return bool(os.environ.get(AS_JSON))
