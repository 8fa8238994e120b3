"""The calls of the loss shared out among processes, and shown as they go by."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from gradcheck.measuring.loss import Evaluator, Loss
from gradcheck.measuring.misuse import short
from gradcheck.measuring.parameters import Nudge


@contextmanager
def sharing(evaluator: Evaluator, workers: Any) -> Iterator[None]:
    """Let `workers` processes, or a map-like callable, call the loss."""
    if callable(workers):
        evaluator.share = lambda loss, nudges: workers(loss.on_a_copy, nudges)
        yield
        return
    if isinstance(workers, bool) or not isinstance(workers, (int, np.integer)) or workers < 1:
        raise ValueError(
            f"`workers` is {short(workers)}: pass a whole number from 1 up, or a map-like "
            "callable such as `executor.map`."
        )
    if workers == 1:
        yield
        return
    with _processes(evaluator, int(workers)):
        yield


@contextmanager
def _processes(evaluator: Evaluator, workers: int) -> Iterator[None]:
    """Let processes call the loss; what they need is imported only where they are wanted."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    try:
        pickle.dumps(evaluator.loss)
    except Exception as error:
        raise TypeError(
            f"`workers={workers}` needs a `fun` and `args` that can be pickled ({error}): define "
            "`fun` at the top level of a module and pass data through `args`, or pass a map-like "
            "callable whose engine pickles more, such as Dask's."
        ) from error
    before = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(workers, initializer=partial(_keep, evaluator.loss))

    def share(_: Loss, nudges: Iterable[Nudge]) -> Iterator[float]:
        for loss, caught in executor.map(_call_kept, nudges):
            for warning in caught:
                warnings.warn_explicit(*warning)
            yield loss

    evaluator.share = share
    try:
        yield
    except BrokenProcessPool as error:
        raise RuntimeError(
            "A worker process died while it called `fun` (out of memory, or a crash in compiled "
            "code?), or could not start (a script without `if __name__ == '__main__':`?): there is "
            "no verdict. Try `workers=1` to see where."
        ) from error
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def showing(evaluator: Evaluator, progress: Any, expected: int) -> Iterator[None]:
    """Show a bar, or call `progress(done, total)`, as the calls of `fun` go by."""
    if progress is None or progress is False:
        yield
    elif callable(progress):
        evaluator.on_call = lambda done: progress(done, max(done, expected))
        yield
    elif progress is True:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise ImportError(
                "`progress=True` needs tqdm: `pip install tqdm`, or pass a "
                "callable that takes (done, total)."
            ) from error
        with tqdm(total=expected, unit="call", desc="gradcheck") as bar:

            def move(done: int) -> None:
                bar.total = max(done, expected)
                bar.update(done - bar.n)

            evaluator.on_call = move
            yield
    else:
        raise TypeError(
            f"`progress` is {short(progress)}: pass True, or a callable that takes (done, total)."
        )


_kept: list[Loss] = []


def _keep(loss: Loss) -> None:
    """Give a worker process the loss once, so that a call sends only its nudge."""
    _kept[:] = [loss]


def _call_kept(nudge: Nudge) -> tuple[float, list[tuple[str, type[Warning], str, int]]]:
    """Return the loss and its warnings: the filters of the process that asks decide on them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loss = _kept[0](nudge)
    return loss, [(str(w.message), w.category, w.filename, w.lineno) for w in caught]
