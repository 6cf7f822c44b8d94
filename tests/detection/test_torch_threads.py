"""A pool's threads work by themselves, and no other thread is touched."""

from __future__ import annotations

import threading

import torch

from napari_subpixel.detection.torch_threads import n_threads, one_thread_each


def number_after_some_work() -> int:
    torch.ones(300_000).exp().sum()
    return torch.get_num_threads()


def test_each_thread_of_the_pool_works_alone_and_others_keep_their_number():
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(3)
    try:
        with one_thread_each(2) as pool:
            work = [
                pool.submit(lambda: (torch.ones(300_000).exp().sum(), torch.get_num_threads())[1]) for _ in range(6)
            ]
            assert {future.result() for future in work} == {1}
            other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
            other.start()
            other.join()
            assert torch.get_num_threads() == 3
        assert seen == [3]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_pools_that_are_opened_at_once_do_not_take_each_other_s_number():
    before, seen = torch.get_num_threads(), []

    def open_one() -> None:
        with one_thread_each(n_threads()):
            seen.append(n_threads())

    torch.set_num_threads(4)
    try:
        for _ in range(30):
            several = [threading.Thread(target=open_one) for _ in range(4)]
            for one in several:
                one.start()
            for one in several:
                one.join()
        assert set(seen) == {4}
    finally:
        torch.set_num_threads(before)
