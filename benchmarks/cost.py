"""``python -m benchmarks.cost -- poseshift prepare human36m RAW STORE``: what a command costs and leaves.

The command runs several times. Its processes are looked at every 20 ms: their processor time is the sum of
what each had used when it was last seen, their memory the largest sum of resident sets. Then it is started
once more and killed with SIGKILL after three quarters of its processor time; what is left of its processes
after two seconds is counted, and ended.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import psutil

INTERVAL_S = 0.02
SETTLING_S = 2.0


@dataclass(frozen=True)
class Cost:
    """What one run of a command cost.

    Attributes
    ----------
    wall_s, processor_s : float
        Time from start to end, and of all processes on processors.
    memory_mib : float
        Largest sum of the processes' resident sets.
    processes : int
        How many there were.
    """

    wall_s: float
    processor_s: float
    memory_mib: float
    processes: int


def cost(command: Sequence[str]) -> Cost:
    """Run a command to its end.

    Raises
    ------
    subprocess.CalledProcessError
        It failed.
    """
    started = time.monotonic()
    process = _start(command)
    used_s: dict[int, float] = {}
    memory = 0
    while process.poll() is None:
        memory = max(memory, _look(process.pid, used_s))
        time.sleep(INTERVAL_S)
    wall_s = time.monotonic() - started
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(wall_s, sum(used_s.values()), memory / 2**20, len(used_s))


def left_behind(command: Sequence[str], after_s: float) -> list[float]:
    """Kill a command after some processor time; return the MiB of each process that outlives it."""
    process = _start(command)
    used_s: dict[int, float] = {}
    while process.poll() is None and sum(used_s.values()) < after_s:
        _look(process.pid, used_s)
        time.sleep(INTERVAL_S)
    known = list(_alive(process.pid))
    process.kill()
    process.wait()
    time.sleep(SETTLING_S)
    left = [one for one in known if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    sizes = [one.memory_info().rss / 2**20 for one in left]
    for one in left:
        one.kill()
    return sizes


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _look(pid: int, used_s: dict[int, float]) -> int:
    """Note the processor time of a command's processes; return the bytes of memory that they hold."""
    resident = 0
    for one in _alive(pid):
        try:
            times = one.cpu_times()
            resident += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        used_s[one.pid] = times.user + times.system
    return resident


def _alive(pid: int) -> Iterator[psutil.Process]:
    try:
        command = psutil.Process(pid)
        yield command
        yield from command.children(recursive=True)
    except psutil.NoSuchProcess:
        return


def main() -> int:
    """Print a JSON line a run, and one with the medians and what was left behind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often the command runs")
    parser.add_argument("command", nargs="+", help="the command and its arguments")
    options = parser.parse_args()
    runs = []
    for _ in range(options.runs):
        runs.append(cost(options.command))
        print(json.dumps(asdict(runs[-1])), flush=True)
    medians = {name: statistics.median(asdict(one)[name] for one in runs) for name in asdict(runs[0])}
    left = left_behind(options.command, 0.75 * medians["processor_s"])
    print(json.dumps({**medians, "left_behind_mib": left}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
