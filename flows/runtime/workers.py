"""Several parts of a work at a time, in processes of their own: a recipe's lifters, a benchmark's runs.

Every part has a thread here, which looks after it (tasks, attempts, records), and a process, which computes.
What is told in the process, steps and log records, that thread tells again, so that whoever listens here
hears it as if it were computed here; an error is raised here as it was there. The processes end with the one
that started them, however that ends.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import partial, wraps
from itertools import islice
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

from poseshift.flows.experiment.progress import Step, progress_to, report_progress
from poseshift.storage.registry import load_plugins, loaded_plugins

P = ParamSpec("P")
R = TypeVar("R")
Part = TypeVar("Part")

PATIENCE_S = 10.0
"""How long a process may take to put its work down when it is to end."""

_PACKAGE = logging.getLogger("poseshift")
_PRELOADED = ["poseshift.flows.evaluate", "poseshift.flows.train", "torch._dynamo"]
"""Imported once for all processes, which takes seconds, where the system can copy a process that has.

The last is what PyTorch imports when the first optimiser is made.
"""
_TELLING = threading.RLock()
"""One thread at a time tells what was told in its process: not every listener knows of threads."""


class WorkerEndedError(RuntimeError):
    """A process that ended before its work did."""


def in_worker(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function called in the process of the part that is worked on, or here where there is none.

    Parameters
    ----------
    function : callable
        Of a module, so that the process finds it; arguments and answer are pickled.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        worker = _worker.get()
        if worker is None:
            return function(*args, **kwargs)
        return worker.call(partial(function, *args, **kwargs))

    return call


@contextmanager
def several_at_once(
    work: Callable[[Part], R], parts: Sequence[Part], processes: int, threads: int
) -> Iterator[Iterator[tuple[Part, Future[R]]]]:
    """Work on several parts at a time, for the length of a ``with`` block; then nothing of it goes on.

    Parameters
    ----------
    work : callable
        Looks after one part, in a thread that has the context of the caller; what is :func:`in_worker` in it
        is called in the process of that thread.
    parts : sequence
        What to work on, in this order.
    processes : int
        Parts at a time. A process is started when it is first needed, and takes one part after the other.
    threads : int
        Threads that PyTorch computes with in each.

    Yields
    ------
    iterator of (part, future)
        Parts as they end, with the answer or the error. No other part is begun before the next one is asked
        for, so that whoever ends the block by an error begins nothing more.
    """
    due: SimpleQueue[tuple[Part, ...]] = SimpleQueue()  # of one part, or of none for the end
    ended: SimpleQueue[tuple[Part, Future[R]]] = SimpleQueue()
    workers = [_Worker(threads) for _ in range(min(processes, len(parts)))]

    def look_after(worker: _Worker) -> None:
        _worker.set(worker)
        while given := due.get():
            (part,) = given
            answer: Future[R] = Future()
            try:
                answer.set_result(work(part))
            except BaseException as error:  # also what a task of Prefect's is ended by
                answer.set_exception(error)
            ended.put((part, answer))

    def as_they_end() -> Iterator[tuple[Part, Future[R]]]:
        waiting = iter(parts)
        for _ in workers:
            due.put((next(waiting),))
        for _ in parts:
            yield _taken(ended)
            due.put(tuple(islice(waiting, 1)))

    threads_of_parts = [
        threading.Thread(target=copy_context().run, args=(look_after, worker), daemon=True)
        for worker in workers
    ]
    try:
        for one in threads_of_parts:
            one.start()
        yield as_they_end()
    finally:
        for worker in workers:
            worker.stop()
            due.put(())
        for worker in workers:
            worker.join()
        for one in threads_of_parts:
            one.join(PATIENCE_S)


def _taken(queue: SimpleQueue[R]) -> R:
    """Wait for an entry and, now and then, let Python look whether this thread is to be interrupted."""
    while True:
        try:
            return queue.get(timeout=1.0)
        except Empty:
            continue


@dataclass(frozen=True)
class _Returned:
    value: Any


@dataclass(frozen=True)
class _Raised:
    error: Any


class _Worker:
    """One process, for the one thread that calls functions in it; another thread may stop it."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._stopped = False
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def call(self, function: Callable[[], R]) -> R:
        """Call a function in the process; return or raise what it does there.

        Raises
        ------
        WorkerEndedError
            The process was killed, or stopped.
        """
        if self._connection is None:
            self._connection = self._begin()
            self._ask(self._connection, partial(load_plugins, loaded_plugins()))
        answer: R = self._ask(self._connection, function)
        return answer

    def _begin(self) -> Connection:
        context = _context()
        ours: Connection
        theirs: Connection
        ours, theirs = context.Pipe()
        with self._lock:
            if self._stopped:
                raise self._ended()
            level = _PACKAGE.getEffectiveLevel()
            self._process = context.Process(
                target=_serve, args=(theirs, self._threads, level), name="poseshift worker", daemon=True
            )
            self._process.start()
        theirs.close()  # so that the process's end is the end of what can be read
        return ours

    def _ask(self, connection: Connection, function: Callable[[], Any]) -> Any:
        question = pickle.dumps(function)
        try:
            connection.send_bytes(question)
        except OSError:
            raise self._ended() from None
        while True:
            match self._heard(connection):
                case _Returned(value):
                    return value
                case _Raised(error):
                    raise error
                case Step() as step:
                    with _TELLING:
                        report_progress(step)
                case logging.LogRecord() as record:
                    with _TELLING:
                        logging.getLogger(record.name).handle(record)

    def _heard(self, connection: Connection) -> object:
        try:
            said: object = connection.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        return said

    def _ended(self) -> WorkerEndedError:
        self._connection = None  # whoever asks again gets a new process
        if self._stopped or self._process is None:
            return WorkerEndedError("stopped, since the run has ended")
        self._process.join(PATIENCE_S)
        code = self._process.exitcode or 0
        by = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return WorkerEndedError(
            f"process {self._process.pid}, which computed, was ended {by}; the system does so when memory "
            "runs out. The same command goes on where it was; `--jobs 1` takes the least memory"
        )

    def stop(self) -> None:
        """Tell the process to end, which puts down what it does as an interrupted command would."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.is_alive():
                self._process.terminate()

    def join(self) -> None:
        """Wait until the process has ended, and end it by force when that takes long."""
        if self._process is None:
            return
        self._process.join(PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


_worker: ContextVar[_Worker | None] = ContextVar("worker", default=None)


def _context() -> Any:
    """Return how processes are started: as copies of one that has imported what trains, or each anew."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _serve(connection: Connection, threads: int, level: int) -> None:
    """Call what is asked for, until nobody asks."""
    import torch  # the process that asks may have no use for it

    # Ctrl-C reaches all processes of a terminal; the one that was started there tells the others to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    send = _Sender(connection)
    _PACKAGE.setLevel(level)
    _PACKAGE.addHandler(_Sent(send))
    _PACKAGE.propagate = False
    with progress_to(send):
        while True:
            try:
                question = connection.recv_bytes()
            except (EOFError, OSError):
                return
            send.bytes(_answered(question))


def _answered(question: bytes) -> bytes:
    try:
        return pickle.dumps(_Returned(pickle.loads(question)()))  # noqa: S301 - of the process that asks
    except Exception as error:
        error.add_note(f"In a process of its own:\n{traceback.format_exc()}")
        return _pickled(error)


def _pickled(error: Exception) -> bytes:
    """Pickle an error as it is or, where its class does not come back from that, by its parts."""
    for written in (error, _Parts(error)):
        try:
            told = pickle.dumps(_Raised(written))
            back = pickle.loads(told).error  # noqa: S301 - written here
        except Exception:  # noqa: S112 - classes from anywhere, whose code may fail in any way
            continue
        if type(back) is type(error) and str(back) == str(error):
            return told
    return pickle.dumps(_Raised(RuntimeError(f"{type(error).__name__}: {error}")))


class _Parts:
    """Pickles as an error whose class cannot be called with what its base class keeps."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Callable[..., Exception], tuple[Any, ...]]:
        return _put_together, (type(self._error), self._error.args, vars(self._error))


def _put_together(kind: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


class _Sender:
    """Sends what is said by any thread of the process, one thing at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def __call__(self, said: object) -> None:
        self.bytes(pickle.dumps(said))

    def bytes(self, said: bytes) -> None:
        """Send what is pickled already."""
        with self._lock:
            self._connection.send_bytes(said)


class _Sent(QueueHandler):
    """Sends log records, with their arguments and errors written out."""

    def __init__(self, send: Callable[[object], None]) -> None:
        super().__init__(SimpleQueue())
        self._send = send

    def enqueue(self, record: logging.LogRecord) -> None:
        self._send(record)


def _leave(number: int, frame: object) -> None:
    """Leave the work as an interrupted command does: locks are let go, and nothing is half-written."""
    del frame
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
