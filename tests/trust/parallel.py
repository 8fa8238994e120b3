"""Run checks in several processes, each with one thread."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

Job = tuple[Callable[..., list[Any]], tuple[Any, ...]]  # a function of a module, what it takes


def run_all(jobs: Iterable[Job], processes: int = 2) -> Iterator[Any]:
    """Yield what the jobs return, as it comes."""
    if processes == 1:
        yield from (outcome for job in jobs for outcome in _run(job))
        return
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # as many processes as cores, and no threads besides
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for outcomes in pool.imap_unordered(_run, jobs):
            yield from outcomes


def _run(job: Job) -> list[Any]:
    function, given = job
    with np.errstate(all="ignore"):
        return function(*given)
