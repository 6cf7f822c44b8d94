"""The chunks of a movie on workers of Dask, each of which opens the movie itself and keeps the model at hand."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from napari_subpixel import __version__
from napari_subpixel.errors import InputError, LostWorkersError

if TYPE_CHECKING:
    from napari_subpixel.detection.chunks import Chunk
    from napari_subpixel.detection.detector import Detector
    from napari_subpixel.detection.job import DetectionJob
    from napari_subpixel.models import Model

#: How long to wait until a scheduler answers, in seconds.
CONNECT_S = 10.0
#: How long to wait until it has a worker, in seconds.
WORKERS_S = 120.0
#: How often to check whether there are still workers, in seconds.
CHECK_S = 2.0
#: Chunks that are handed out at a time for every thread of the workers: one in progress and one that waits.
CHUNKS_PER_THREAD = 2
#: A chunk that this many workers, and one more, were detecting when they died is given up.
ALLOWED_FAILURES = 3
#: Movies and detectors that a worker keeps open, of each.
MAX_CACHED = 2
#: Dask lets its workers hand memory back to the system at once, for which they pay with much of their speed. Its pages
#: of what is computed are for everybody on the machine, and nobody needs them here.
BEFORE_WORKERS: dict[str, Any] = {
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
LOST = "the scheduler is gone; finished chunks are kept"
NOT_INSTALLED = 'workers need {}, which is not installed: pip install "napari-subpixel[cluster]"'


# -- here: chunks are handed out and come back ----------------------------------------------------------------------


class Cluster:
    """Workers of Dask that detect the chunks of movies.

    Parameters
    ----------
    client : distributed.Client
        The connection to the scheduler; it stays open.
    device : str
        Where each worker detects: ``auto`` (CUDA, then MPS, then CPU, whatever that worker has), ``cpu``, ``cuda`` or
        ``mps``.
    threads_per_chunk : int, optional
        Threads of the processor that PyTorch takes for a chunk; what each worker is set to if not given.
    """

    def __init__(self, client: Any, *, device: str = "auto", threads_per_chunk: int | None = None) -> None:
        self.client = client
        self.device = device
        self.threads_per_chunk = threads_per_chunk

    def __str__(self) -> str:
        n_workers = len(self.client.nthreads())
        return f"{n_workers} worker{'s'[: n_workers != 1]} at {self.client.scheduler.address}"

    def detect(self, job: DetectionJob, *, starts: Iterable[int] | None = None) -> Generator[Chunk, None, None]:
        """Detect a movie chunk by chunk, as `napari_subpixel.runs.pipeline.detect` does, on the workers.

        A worker that dies is survived: its chunk goes to another one. At most `CHUNKS_PER_THREAD` chunks for every
        thread of the workers are handed out, or waiting here, at a time.

        Parameters
        ----------
        job : DetectionJob
            Of a movie in a file that all workers see under the same path.
        starts : iterable of int, optional
            First frames of the chunks to detect; all of `job.starts` if not given.

        Yields
        ------
        Chunk
            In the order of `starts`.

        Raises
        ------
        InputError
            If the movie is not in a file, a worker does not see it or sees another, a frame cannot be read, a chunk
            ends every worker that takes it, or there are no workers any more.
        """
        pending = deque(job.starts if starts is None else starts)
        version_and_key = f"napari-subpixel {__version__}", uuid.uuid4().hex
        order = self._submit(_same, pickle.dumps(_Order.of(job, self.device, self.threads_per_chunk)))
        given: deque[tuple[int, Any]] = deque()
        try:
            while pending or given:
                while pending and len(given) < self._room():
                    start = pending.popleft()
                    given.append((start, self._submit(_detect_chunk, version_and_key, order, start)))
                start, chunk = given.popleft()
                yield self._result(chunk, f"{job.stack.name}: the chunk from frame {start} on")
        finally:
            with suppress(Exception):  # the scheduler may be gone
                self.client.cancel([order, *(chunk for _, chunk in given)], force=True)

    def _submit(self, function: Any, *arguments: Any) -> Any:
        import dask

        # The model goes along with the first task, once for a movie; no warning is due.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
            return self.client.submit(function, *arguments, pure=False)

    def _room(self) -> int:
        """Return how many chunks may be under way."""
        return max(1, CHUNKS_PER_THREAD * self._n_threads())

    def _n_threads(self) -> int:
        """Return how many threads the workers have together."""
        try:
            return sum(self.client.nthreads().values())
        except OSError:
            raise LostWorkersError(LOST) from None

    def _result(self, future: Any, what: str) -> Chunk:
        """Return a chunk once it is there."""
        from distributed import KilledWorker

        self._wait(future)
        try:
            return future.result()
        except KilledWorker:
            raise InputError(
                f"{what} ended {ALLOWED_FAILURES + 1} workers, one after the other: do they have enough memory?"
            ) from None
        except CancelledError:
            raise LostWorkersError(LOST) from None

    def _wait(self, future: Any) -> None:
        """Wait until a future is done, or raise `InputError` if there are no workers left to do it."""
        last_alive = time.monotonic()
        while not future.done():
            with suppress(TimeoutError, CancelledError):
                future.exception(timeout=CHECK_S)
            if future.done() or self._n_threads():
                last_alive = time.monotonic()
            elif time.monotonic() - last_alive > WORKERS_S:
                raise LostWorkersError(_no_workers(self.client.scheduler.address) + "; finished chunks are kept")


@contextmanager
def local_workers(n_workers: int, *, device: str = "auto") -> Iterator[Cluster]:
    """Start workers on this machine, a process each, which share its processors and its GPUs; end them after use.

    They speak TLS, with a key that is made for the run and stays in the memory of these processes: who else is on the
    machine can reach their ports, but neither give them work nor read what they send.

    Parameters
    ----------
    n_workers : int
    device : str
        As in `Cluster`.

    Yields
    ------
    Cluster

    Raises
    ------
    InputError
        If `distributed` or `cryptography` is not installed, or there should be no workers.
    """
    distributed = _distributed()
    import dask

    if n_workers < 1:
        raise InputError(f"at least 1 worker is needed, got {n_workers}")
    try:
        security = distributed.Security.temporary()
    except ImportError:
        raise InputError(NOT_INSTALLED.format("cryptography")) from None
    here = "127.0.0.1"
    shared = {"host": here, "protocol": "tls", "security": security, "dashboard": False}
    scheduler = {**shared, "port": 0, "dashboard_address": f"{here}:0", "allowed_failures": ALLOWED_FAILURES}
    # What a worker holds is bounded by the chunk; a limit on its memory would but kill it on machines of many cores.
    worker = {
        **shared,
        "silence_logs": logging.CRITICAL,
        "preload": [__name__],
        "nthreads": 1,
        "memory_limit": 0,
    }
    environments = enumerate(_environments(n_workers, device))
    workers = {number: {"cls": distributed.Nanny, "options": {**worker, "env": env}} for number, env in environments}
    with dask.config.set(BEFORE_WORKERS):
        cluster = distributed.SpecCluster(
            scheduler={"cls": distributed.Scheduler, "options": scheduler},
            workers=workers,
            security=security,
            silence_logs=logging.CRITICAL,
        )
    with cluster, distributed.Client(cluster, security=security, set_as_default=False) as client:
        threads = max(1, (os.cpu_count() or 1) // n_workers)
        yield Cluster(client, device=device, threads_per_chunk=threads)


@contextmanager
def connected(scheduler: str, *, device: str = "auto") -> Iterator[Cluster]:
    """Connect to the scheduler of a Dask cluster that is there.

    Parameters
    ----------
    scheduler : str
        Its address, such as ``tcp://node12:8786``, or the scheduler file (.json) that it wrote.
    device : str
        As in `Cluster`.

    Yields
    ------
    Cluster

    Raises
    ------
    InputError
        If `distributed` is not installed, the scheduler does not answer, or it has no workers and gets none in time.
    """
    distributed = _distributed()
    address = _address(scheduler)
    try:
        distributed.comm.resolve_address(address)
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{scheduler}: no Dask scheduler answers at this address: {reason}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError:
            raise InputError(_no_workers(scheduler)) from None
        yield Cluster(client, device=device)


def _distributed() -> ModuleType:
    try:
        import distributed
    except ImportError:
        raise InputError(NOT_INSTALLED.format("Dask's distributed")) from None
    return distributed


def _address(scheduler: str) -> str:
    """Return the address of a scheduler, which may be written in its file."""
    if not scheduler.endswith(".json"):
        return scheduler
    try:
        return str(json.loads(Path(scheduler).read_text(encoding="utf-8"))["address"])
    except FileNotFoundError:
        raise InputError(f"{scheduler}: no such scheduler file") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{scheduler}: is no scheduler file of Dask: {error!r}") from None


def _no_workers(scheduler: str) -> str:
    return f"{scheduler}: the scheduler has had no workers for {WORKERS_S:.0f} s"


def _environments(n_workers: int, device: str) -> list[dict[str, str]]:
    """Return what each worker finds in its environment: where there are GPUs, one of them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    n_there = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    gpus = named if named != [""] and len(named) >= n_there else [str(number) for number in range(n_there)]
    if not n_there:
        return [{} for _ in range(n_workers)]
    return [{"CUDA_VISIBLE_DEVICES": gpus[number % n_there]} for number in range(n_workers)]


# -- there: what a worker does -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Order:
    """What a worker has to know to detect chunks: a job whose movie it opens itself.

    Attributes
    ----------
    opening : dict
        Arguments of `open_stack` that open the movie.
    name : str
        Of the movie.
    fingerprint : dict
        By which the worker recognises the movie.
    model : Model
    threshold, device, tile_px
        As in `Detector`.
    threads : int or None
        Of PyTorch.
    settings : dict
        The other fields of the job.
    """

    opening: dict[str, Any]
    name: str
    fingerprint: dict[str, Any]
    model: Model
    threshold: float
    device: str
    tile_px: int
    threads: int | None
    settings: dict[str, Any]

    @classmethod
    def of(cls, job: DetectionJob, device: str, threads: int | None) -> _Order:
        from napari_subpixel.detection.chunks import CHUNK_PIXELS

        stack, detector = job.stack, job.detector
        if stack.path is None:
            raise InputError(f"{stack.name}: is in memory; workers of a cluster need a movie in a file")
        settings = {f.name: getattr(job, f.name) for f in fields(job) if f.name not in ("stack", "detector")}
        settings["chunk_pixels"] = job.chunk_pixels or CHUNK_PIXELS
        return cls(
            opening=stack.opening or {"movie": os.path.abspath(stack.path), "series": stack.series},
            name=stack.name,
            fingerprint=_lasting(stack.fingerprint()),
            model=detector.model,
            threshold=detector.threshold,
            device=device,
            tile_px=detector.tile_px,
            threads=threads,
            settings=settings,
        )

    def job(self) -> DetectionJob:
        """Open the movie, and return the job with it."""
        from napari_subpixel.detection.job import DetectionJob
        from napari_subpixel.stacks import open_stack

        try:
            stack = open_stack(**self.opening, name=self.name).close_when_unused()
            if (fingerprint := _lasting(stack.fingerprint())) != self.fingerprint:
                raise InputError(f"{self.name}: holds another movie, {fingerprint}, than here, {self.fingerprint}")
        except InputError as error:
            raise InputError(f"the worker {_own_address()} does not see the movie: {error}") from None
        return DetectionJob(stack, self._detector(), **self.settings)

    def _detector(self) -> Detector:
        from napari_subpixel.detection.detector import Detector

        card = self.model.card
        key = card.name, card.weights_sha256, self.threshold, self.device, self.tile_px
        return _detectors.get(
            key, lambda: Detector(self.model, threshold=self.threshold, device=self.device, tile_px=self.tile_px)
        )


class _Cache:
    """The things that were last asked for, each made once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._there: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any, make: Any) -> Any:
        """Return what there is under this key; make it where there is nothing."""
        with self._lock:
            if key not in self._there:
                self._there[key] = make()
            self._there.move_to_end(key)
            while len(self._there) > MAX_CACHED:
                self._there.popitem(last=False)
            return self._there[key]


#: What this process keeps as a worker.
_jobs, _detectors = _Cache(), _Cache()


def dask_setup(_worker: Any) -> None:
    """Let a worker of `local_workers` leave Ctrl-C to the program that gave it work; Dask calls this by its name."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _same(order: bytes) -> bytes:
    """Return an order: as a task's result, Dask hands it from worker to worker, and makes it again where it is lost."""
    return order


def _detect_chunk(version_and_key: tuple[str, str], order: bytes, start: int) -> Chunk:
    """Detect a chunk, in a worker; its key and the program's version are known before the order is unpacked."""
    import torch

    from napari_subpixel.runs.pipeline import detect

    program, key = version_and_key
    if program != (own := f"napari-subpixel {__version__}"):
        raise InputError(f"the worker {_own_address()} has {own}, and this is {program}: let both be the same")

    def job() -> tuple[DetectionJob, int | None]:
        unpacked = pickle.loads(order)
        return unpacked.job(), unpacked.threads

    found, threads = _jobs.get(key, job)
    if threads is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    (chunk,) = detect(found, starts=[start])
    return chunk


def _lasting(fingerprint: dict[str, Any]) -> dict[str, Any]:
    """Return what of a fingerprint is the same on every machine; times of files may be shifted."""
    return {name: value for name, value in fingerprint.items() if name != "mtime_ns"}


def _own_address() -> str:
    from distributed import get_worker

    return str(get_worker().address)
