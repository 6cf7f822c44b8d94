"""Chunks on workers of Dask: the same table as without them, also where a worker is killed, and clear words else."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_subpixel.camera import Camera
from napari_subpixel.detection import chunks
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import DetectionJob, job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import InputError, LostWorkersError
from napari_subpixel.runs import dask_cluster
from napari_subpixel.runs.batch import detect_batch
from napari_subpixel.runs.dask_cluster import Cluster, connected, local_workers
from napari_subpixel.runs.movie_lists import pair_outputs
from napari_subpixel.runs.pipeline import detect, detect_to_file
from napari_subpixel.stacks import open_stack

pytest.importorskip("distributed", reason="distributed is not installed")

CHUNK_FRAMES, N_FRAMES = 4, 120


def in_this_process(n_workers: int) -> Any:
    """A scheduler and workers on threads, which start at once."""
    from distributed import LocalCluster

    options = {"processes": False, "protocol": "tcp", "dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}
    return LocalCluster(n_workers=n_workers, threads_per_worker=1, **options)


@pytest.fixture(autouse=True)
def nothing_kept_afterwards(monkeypatch):
    """A worker on a thread of this process keeps no movie of a test open when the test is over."""
    monkeypatch.setattr(dask_cluster, "_jobs", dask_cluster._Cache())


@pytest.fixture(scope="module")
def workers() -> Iterator[Cluster]:
    """Two workers, processes of their own."""
    with local_workers(2, device="cpu") as two:
        yield two


@pytest.fixture(scope="module")
def threads() -> Iterator[str]:
    """The address of a scheduler with a worker, all in this process."""
    with in_this_process(1) as one:
        yield one.scheduler_address


@pytest.fixture
def movie(thirty_frames, tmp_path) -> Path:
    tiled = np.tile(thirty_frames[:10], (N_FRAMES // 10, 1, 1))
    tifffile.imwrite(tmp_path / "movie.tif", tiled, photometric="minisblack")
    return tmp_path / "movie.tif"


@pytest.fixture
def job(movie, detector, monkeypatch) -> Iterator[DetectionJob]:
    """A job of 30 chunks, of a size that no worker would choose by itself."""
    monkeypatch.setattr(chunks, "CHUNK_PIXELS", CHUNK_FRAMES * 40 * 52)
    with open_stack(movie) as stack:
        yield DetectionJob(stack, detector, Camera(pixel_size_nm=100))


def written(job: DetectionJob, output: Path, **options) -> bytes:
    for _ in detect_to_file(job, output, **options):
        pass
    return output.read_bytes()


# -- the same table ------------------------------------------------------------------------------------------------


def test_workers_give_the_bytes_that_one_process_gives(workers, job, tmp_path):
    assert written(job, tmp_path / "there.csv", detecting=workers.detect) == written(job, tmp_path / "here.csv")


def test_a_worker_that_is_killed_in_the_middle_changes_nothing(workers, job, tmp_path):
    pid = min(workers.client.run(os.getpid).values())
    killed = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
    n_chunks = 0
    for n_chunks, _ in enumerate(detect_to_file(job, tmp_path / "there.csv", detecting=workers.detect), start=1):
        if n_chunks == 6:
            os.kill(pid, signal.SIGSTOP)  # it keeps the chunks that it has, and those that it still gets
            killed.start()
    assert n_chunks == len(job.starts)
    assert (tmp_path / "there.csv").read_bytes() == written(job, tmp_path / "here.csv")
    workers.client.wait_for_workers(2, timeout=60)
    assert pid not in workers.client.run(os.getpid).values()  # another one took its place


def test_a_model_that_measures_and_parts_of_a_movie_come_out_the_same(workers, movie, tmp_path):
    with open_stack(movie) as stack:
        job = job_for(stack, Detector("fast", device="cpu"), DetectionOptions(frames=(5, 25), roi=((3, 30), (8, 50))))
        job = replace(job, chunk_pixels=CHUNK_FRAMES * 40 * 52)
        assert written(job, tmp_path / "a.parquet", detecting=workers.detect) == written(job, tmp_path / "b.parquet")


def test_a_run_that_was_stopped_is_resumed_with_workers_and_without(workers, job, tmp_path):
    running = detect_to_file(job, tmp_path / "there.csv", detecting=workers.detect)
    for _ in range(3):
        next(running)
    running.close()
    assert len(list((tmp_path / "there.csv.partial").glob("frames-*"))) == 3
    running = detect_to_file(job, tmp_path / "there.csv", resume=True)
    assert next(running).start == 3 * CHUNK_FRAMES
    running.close()
    there = written(job, tmp_path / "there.csv", resume=True, detecting=workers.detect)
    assert there == written(job, tmp_path / "here.csv")


def test_a_batch_hands_its_movies_to_the_workers(workers, movie, detector, tmp_path):
    bad = tmp_path / "bad.tif"
    bad.write_text("no movie")
    pairs = pair_outputs([bad, movie], tmp_path)
    options = DetectionOptions(Camera(pixel_size_nm=100))
    failed, done = (e for e in detect_batch(pairs, detector, options, detecting=workers.detect)
                    if hasattr(e, "status"))  # fmt: skip
    assert (failed.status, done.status, done.n_detected) == ("failed", "done", N_FRAMES)


def test_few_chunks_are_under_way_at_a_time(threads, job, monkeypatch):
    given = []
    with connected(threads, device="cpu") as one:
        submit = one._submit
        monkeypatch.setattr(one, "_submit", lambda *task: (given.append(task), submit(*task))[1])
        running = one.detect(job)
        for n_done in (1, 2, 3):
            next(running)
            assert len(given) <= 1 + dask_cluster.CHUNKS_PER_THREAD + n_done
        running.close()


def test_a_worker_opens_movie_and_model_once(threads, job, monkeypatch):
    opened = []
    really = dask_cluster._Order.job
    monkeypatch.setattr(dask_cluster._Order, "job", lambda order: (opened.append(order), really(order))[1])
    with connected(threads, device="cpu") as one:
        assert [chunk.start for chunk in one.detect(job)] == list(job.starts)
        before = dask_cluster._detectors.get(("paper", job.detector.card.weights_sha256, 0.1, "cpu", 256), None)
        list(one.detect(job, starts=[8]))
    assert len(opened) == 2
    assert before is opened[1]._detector()


def test_things_beyond_the_last_few_are_let_go():
    kept = dask_cluster._Cache()
    for number in range(5):
        kept.get(number, object)
    assert list(kept._there) == [3, 4]


# -- what goes wrong ------------------------------------------------------------------------------------------------


def refused(one: Cluster, job: DetectionJob) -> str:
    with pytest.raises(InputError) as error:
        list(one.detect(job))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_movie_that_a_worker_does_not_see_is_reported_with_the_worker(threads, job, tmp_path):
    there = tmp_path / "elsewhere" / "movie.tif"  # as a disk that the worker does not have
    job.stack.opening["movie"] = str(there)
    with connected(threads) as one:
        words = refused(one, job)
    assert words.startswith("the worker tcp://127.0.0.1:")
    assert words.endswith(f"does not see the movie: {there}: no such file")


def test_another_movie_at_the_same_place_is_refused(threads, job, tmp_path):
    there = tmp_path / "other.tif"  # as a disk that the worker has another one of
    job.stack.opening["movie"] = str(there)
    tifffile.imwrite(there, np.ones((N_FRAMES, 40, 52), np.uint16), photometric="minisblack")
    with connected(threads) as one:
        assert f"{job.stack.name}: holds another movie" in refused(one, job)


def test_a_movie_in_memory_is_refused(threads, detector):
    with open_stack(np.zeros((5, 20, 30), np.uint16)) as stack, connected(threads) as one:
        assert refused(one, DetectionJob(stack, detector)).startswith("array: is in memory; workers of a cluster need")


def test_a_frame_that_is_not_finite_is_reported_as_without_workers(threads, tmp_path, detector):
    frames = np.ones((5, 20, 30), np.float32)
    frames[3, 5, 6] = np.nan
    tifffile.imwrite(tmp_path / "nan.tif", frames, photometric="minisblack")
    with open_stack(tmp_path / "nan.tif") as stack, connected(threads) as one:
        assert refused(one, DetectionJob(stack, detector)).startswith("nan.tif: frame 3 holds nan at row 5, column 6")


def test_another_version_of_the_program_is_refused(threads, job, monkeypatch):
    about = ("napari-subpixel 0.0.0", "key")
    with connected(threads) as one:
        task = one._submit(dask_cluster._detect_chunk, about, pickle.dumps(None), 0)
        with pytest.raises(InputError, match=r"has napari-subpixel .*, and this is napari-subpixel 0.0.0: let both be"):
            one._result(task, "chunk")


def test_a_chunk_that_ends_every_worker_is_given_up(workers, job, monkeypatch):
    monkeypatch.setattr(dask_cluster, "ALLOWED_FAILURES", 0)
    workers.client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
    try:
        workers.client.wait_for_workers(2, timeout=60)
        task = workers._submit(os._exit, 1)
        with pytest.raises(InputError, match="the chunk ended 1 workers, one after the other: do they have enough"):
            workers._result(task, "the chunk")
    finally:
        allowed = 3
        workers.client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", allowed))


def test_a_scheduler_without_workers_is_reported(monkeypatch):
    monkeypatch.setattr(dask_cluster, "WORKERS_S", 0.2)
    monkeypatch.setattr(dask_cluster, "CHECK_S", 0.1)
    with in_this_process(0) as none:
        address = none.scheduler_address
        with pytest.raises(InputError, match="the scheduler has had no workers for 0 s"), connected(address):
            pass
        client = none.get_client()
        with client, pytest.raises(LostWorkersError, match="no workers for 0 s; finished chunks are kept"):
            Cluster(client)._wait(client.submit(os.getpid))


def test_a_scheduler_that_ends_meanwhile_is_reported(job, monkeypatch):
    monkeypatch.setattr(dask_cluster, "CONNECT_S", 1)
    with in_this_process(1) as one, connected(one.scheduler_address, device="cpu") as there:
        running = there.detect(job)
        next(running)
        one.close()
        with pytest.raises(LostWorkersError, match="the scheduler is gone; finished chunks are kept"):
            list(running)
        assert refused(there, job) == dask_cluster.LOST  # the next movie


def test_a_scheduler_that_is_not_there_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(dask_cluster, "CONNECT_S", 0.5)
    for address in ("127.0.0.1:9", "tcp://127.0.0.1:9", "foo://x", "no-such-host.invalid:8786"):
        with (
            pytest.raises(InputError, match=f"{address}: no Dask scheduler answers at this address"),
            connected(address),
        ):
            pass
    (tmp_path / "bad.json").write_text("[]")
    for name, words in {"gone.json": "no such scheduler file", "bad.json": "is no scheduler file of Dask"}.items():
        with pytest.raises(InputError, match=words), connected(str(tmp_path / name)):
            pass


def test_a_scheduler_file_will_do(threads, tmp_path):
    (tmp_path / "scheduler.json").write_text(json.dumps({"address": threads}))
    with connected(str(tmp_path / "scheduler.json")) as one:
        assert str(one) == f"1 worker at {threads}"


@pytest.mark.parametrize("spoken", ["tcp", "tls"])
def test_who_else_is_on_the_machine_cannot_give_work_to_the_workers(workers, spoken):
    from distributed import Client, Security

    scheduler = workers.client.scheduler.address
    own = {"tcp": None, "tls": Security.temporary()}[spoken]
    for address in (scheduler, *workers.client.nthreads()):
        assert address.startswith("tls://127.0.0.1:")
        with pytest.raises(OSError, match=r"(?i)timed out|closed|reset|tls|ssl"):
            Client(f"{spoken}{address.removeprefix('tls')}", security=own, timeout=1, set_as_default=False)


def test_without_cryptography_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    named = r"cryptography, which is not installed: pip install \"napari-subpixel\[cluster\]\""
    with pytest.raises(InputError, match=named), local_workers(2):
        pass


def test_without_distributed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    named = r"which is not installed: pip install \"napari-subpixel\[cluster\]\""
    with pytest.raises(InputError, match=named), connected("tcp://127.0.0.1:9"):
        pass
    with pytest.raises(InputError, match="not installed"), local_workers(2):
        pass


def test_no_workers_are_refused():
    with pytest.raises(InputError, match="at least 1 worker is needed, got 0"), local_workers(0):
        pass


# -- GPUs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_gpus", "visible", "device", "each"),
    [
        (0, None, "auto", [None, None, None]),
        (2, None, "auto", ["0", "1", "0"]),
        (2, "5,7", "cuda", ["5", "7", "5"]),
        (2, "5,7", "cpu", [None, None, None]),
    ],
)
def test_every_worker_sees_one_gpu(monkeypatch, n_gpus, visible, device, each):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [env.get("CUDA_VISIBLE_DEVICES") for env in dask_cluster._environments(3, device)] == each


def test_chunks_are_detected_on_the_device_of_the_order(job):
    order = dask_cluster._Order.of(job, "auto", None)
    assert order.settings["chunk_pixels"] == CHUNK_FRAMES * 40 * 52
    (here,) = detect(job, starts=[8])
    (there,) = detect(pickle.loads(pickle.dumps(order)).job(), starts=[8])
    assert here.table.table.equals(there.table.table)
