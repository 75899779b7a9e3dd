"""Work in processes of its own, some at a time, each with one thread of torch."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

Work = TypeVar("Work")
Done = TypeVar("Done")


def side_by_side(do: Callable[[Work], Done], work: Sequence[Work], jobs: int) -> Iterator[tuple[Work, Done]]:
    """What was done, as it is done, each in a fresh process; `do` is a function of a module."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before the processes start: torch reads it when it is imported
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, fresh, max_tasks_per_child=1) as pool:
        futures = {pool.submit(do, one): one for one in work}
        for future in as_completed(futures):
            yield futures[future], future.result()
