"""``detect`` with workers: started for it, or those of a scheduler that is there."""

from __future__ import annotations

import pytest

pytest.importorskip("distributed", reason="distributed is not installed")


def test_workers_write_the_table_that_one_process_writes(run, movie, tmp_path):
    flags = ("--model", "paper", "--frames", "2:")
    here = run("detect", movie, "-o", tmp_path / "here.csv", *flags)
    there = run("detect", movie, "-o", tmp_path / "there.csv", "--workers", 1, *flags)
    assert (here.status, there.status) == (0, 0)
    assert "model paper, threshold 0.1, on 1 worker at tls://127.0.0.1:" in there.err
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_a_scheduler_is_given_by_its_address(run, movie, tmp_path):
    from distributed import LocalCluster

    options = {"processes": False, "protocol": "tcp", "dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}
    with LocalCluster(n_workers=1, threads_per_worker=1, **options) as cluster:
        flags = ("--model", "paper", "--scheduler", cluster.scheduler_address)
        assert run("detect", movie, "-o", f"{tmp_path}/out/", *flags).status == 0
        assert "done already, skipped" in run("detect", movie, "-o", f"{tmp_path}/out/", "--resume", *flags).err
    assert (tmp_path / "out" / "movie.csv").exists()


def test_a_scheduler_that_does_not_answer_is_told_in_a_line(refuse, movie, tmp_path, monkeypatch):
    from napari_subpixel.runs import dask_cluster

    monkeypatch.setattr(dask_cluster, "CONNECT_S", 0.5)
    message = refuse("detect", movie, "-o", tmp_path / "o.csv", "--scheduler", "127.0.0.1:9")
    assert "127.0.0.1:9: no Dask scheduler answers at this address" in message
    assert "not allowed with" in refuse("detect", movie, "-o", "o.csv", "--scheduler", "127.0.0.1:9", "--workers", 2)
    assert "at least 1 worker is needed, got 0" in refuse("detect", movie, "-o", tmp_path / "o.csv", "--workers", 0)
