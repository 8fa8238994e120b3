"""The loss in threads, processes and on a cluster: the same report, or an error, never less."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck import check_gradient

ROOT = Path(__file__).parents[2]

# Processes read the file that started them, so each test is a file that runs alone.
START = """
import json, multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import numpy as np
from gradcheck import check_gradient

def loss(params, X, y):
    return np.sum((np.tanh(X @ params["W"]) - y) ** 2)

def gradient(params, X, y):
    T = np.tanh(X @ params["W"])
    return {"W": 2 * X.T @ ((T - y) * (1 - T**2))}

rng = np.random.default_rng(0)
params = {"W": rng.normal(size=(6, 4))}
args = X, y = rng.normal(size=(9, 6)), rng.normal(size=(9, 4))
wrong = gradient(params, X, y)
wrong["W"][2, 3] *= 1.001
"""
SAME = """
def compare(workers):
    for method in "entries", "directions":
        for slopes in gradient, wrong:
            one, many = (
                check_gradient(loss, slopes, params, args=args, method=method, workers=w)
                for w in (1, workers)
            )
            assert one.passed == (slopes is gradient)
            assert json.dumps(one.to_dict()) == json.dumps(many.to_dict())
            assert list(one.entries) == list(many.entries)
"""
LOCAL = """
    from dask.distributed import Client, LocalCluster
    where = dict(host="127.0.0.1", dashboard_address=":0")
"""


def script(tmp_path: Path, *parts: str) -> list[str]:
    file = tmp_path / "script.py"
    file.write_text("".join(parts))
    return [sys.executable, "-W", "error", str(file)]


def run(tmp_path: Path, *parts: str) -> str:
    """Run a file made of these parts; return what it prints, the traceback included."""
    ran = subprocess.run(
        script(tmp_path, *parts),
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return ran.stdout


SHARED = {
    "two processes": "compare(2)",
    "spawned processes": "multiprocessing.set_start_method('spawn'); compare(2)",
    "process pool": "with ProcessPoolExecutor(2) as pool: compare(pool.map)",
    "thread pool": "with ThreadPoolExecutor(4) as pool: compare(pool.map)",
}


@pytest.mark.parametrize("how", SHARED)
def test_same_report_digit_for_digit(tmp_path: Path, how: str) -> None:
    main = f"\nif __name__ == '__main__':\n    {SHARED[how]}\n    print('same')\n"
    assert run(tmp_path, START, SAME, main) == "same\n"


def test_threads_do_not_see_each_others_nudges(tmp_path: Path) -> None:
    slow = """
def slow(params):
    before = params["W"].copy()
    time.sleep(0.002)
    assert np.array_equal(params["W"], before)
    return loss(params, *args)

with ThreadPoolExecutor(4) as pool:
    print(check_gradient(slow, gradient(params, X, y), params, workers=pool.map).passed)
"""
    assert run(tmp_path, START, slow) == "True\n"


@pytest.mark.parametrize("threads", [1, 4])
def test_same_report_on_a_dask_cluster(tmp_path: Path, threads: int) -> None:
    pytest.importorskip("distributed", reason="needs Dask: `pip install 'gradcheck[test]'`")
    main = f"""
if __name__ == "__main__":{LOCAL}
    with LocalCluster(2, threads_per_worker={threads}, **where) as local, Client(local) as client:
        compare(lambda function, nudges: client.gather(client.map(function, nudges, pure=False)))
    print("same")
"""
    assert run(tmp_path, START, SAME, main) == "same\n"


DIES = """
def dies(params, X, y):
    if multiprocessing.parent_process() is not None:
        os._exit(1)
    return loss(params, X, y)
"""


NOISY = """
import warnings

def noisy(params, X, y):
    if params["W"][5, 3] != at:
        warnings.warn(f"careful, {X.shape}", RuntimeWarning, stacklevel=1)
    return loss(params, X, y)

at = params["W"][5, 3]
"""


def test_warnings_of_worker_processes_reach_the_caller_once(tmp_path: Path) -> None:
    main = """
if __name__ == "__main__":
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert check_gradient(noisy, gradient, params, args=args, workers=2)
    print([(str(w.message), w.category.__name__) for w in caught])
    check_gradient(noisy, gradient, params, args=args, workers=2)
"""
    said = run(tmp_path, START, NOISY, main)  # which turns warnings into errors
    assert said.startswith("[('careful, (9, 6)', 'RuntimeWarning')]\n")
    assert said.endswith("RuntimeWarning: careful, (9, 6)\n")
    assert "Error" not in said


def test_worker_that_dies_gives_an_error_that_says_so(tmp_path: Path) -> None:
    main = """
if __name__ == "__main__":
    check_gradient(dies, gradient, params, args=args, workers=2)
"""
    said = run(tmp_path, START, DIES, main)
    assert "RuntimeError: A worker process died while it called `fun`" in said
    assert "there is no verdict" in said


def test_dask_worker_that_dies_gives_an_error_that_says_so(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs Dask: `pip install 'gradcheck[test]'`")
    main = f"""
if __name__ == "__main__":{LOCAL}
    import dask
    dask.config.set({{"distributed.scheduler.allowed-failures": 0}})
    with LocalCluster(1, threads_per_worker=1, **where) as local, Client(local) as client:
        def on_dask(function, nudges):
            return client.gather(client.map(function, nudges, pure=False))
        try:
            check_gradient(dies, gradient, params, args=args, workers=on_dask)
        except Exception as error:
            print(f"raised {{type(error).__name__}}\\n", end="")  # in one piece
"""
    assert "raised KilledWorker\n" in run(tmp_path, START, DIES, main)


def test_error_of_a_worker_says_where(tmp_path: Path) -> None:
    main = """
def fails(params, X, y):
    if multiprocessing.parent_process() is not None:
        raise OSError("no licence for the simulation")
    return loss(params, X, y)

if __name__ == "__main__":
    check_gradient(fails, gradient, params, args=args, workers=2)
"""
    said = run(tmp_path, START, main)
    assert "OSError: no licence for the simulation" in said
    assert "gradcheck: raised by `fun`" in said


def test_function_that_cannot_be_pickled_is_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match=r"`workers=2` needs .* the top level of a module"):
        check_gradient(lambda w: w @ w, [2.0], np.ones(1), workers=2)


INTERRUPTED = """
before = params["W"].copy()

def slow(params, X, y):
    time.sleep(0.02)
    return loss(params, X, y)

def show(done, total):
    if done == 10:
        print("started", flush=True)
        time.sleep(60)  # until the signal comes

if __name__ == "__main__":
    try:
        check_gradient(slow, gradient, params, args=args, workers=2, progress=show)
    except KeyboardInterrupt:
        print("interrupted", np.array_equal(params["W"], before), end=" ")
        print(multiprocessing.active_children())
"""


@pytest.mark.skipif(os.name != "posix", reason="needs the signals of POSIX")
def test_interrupt_leaves_arrays_untouched_and_workers_stopped(tmp_path: Path) -> None:
    with subprocess.Popen(
        script(tmp_path, START, INTERRUPTED),
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "started\n"
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=120)
    assert said == "interrupted True []\n"


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "two", None])
def test_workers_that_are_neither_a_number_nor_a_map(workers: Any) -> None:
    with pytest.raises(ValueError, match=f"`workers` is {workers!r}: pass a whole number from 1"):
        check_gradient(lambda w: w @ w, [2.0], np.ones(1), workers=workers)
