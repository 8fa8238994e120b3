"""What a type checker says of a user's file: options are named and typed, and mistakes found."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

RIGHT = """\
import numpy as np
from gradcheck import assert_backward, assert_gradient, check_backward, check_gradient


def loss(w: np.ndarray) -> float:
    return float(w @ w)


w = np.ones(3)
check_gradient(loss, lambda w: 2 * w, w, method="directions", rtol=1e-5, dtype=float, workers=2)
check_gradient(loss, True, w, shapes={"a": (1, 2), "b": 1}, step=None, args=())
assert_gradient(loss, lambda w: 2 * w, {"w": w}, max_rows=3, method="auto", progress=True)
report = check_backward(np.tanh, lambda u, x: u, (w,), cache=False, rng=1)
assert_backward(np.tanh, lambda u, x: u, w, atol=1e-9, max_wrong=3)
print(report.passed, report.wrong[0].name, report.findings[0].bug, report.to_dict()["rtol"])
"""
WRONG = {
    'check_gradient(loss, loss, w, method="entry")': 'Literal["entry"]',
    "check_gradient(loss, loss, w, tol=1)": '"tol"',
    "assert_gradient(loss, loss, w, tol=1)": '"tol"',
    'assert_gradient(loss, loss, w, method="entry")': "method",
    'assert_gradient(loss, loss, w, max_rows="3")': "max_rows",
    'check_backward(np.tanh, np.tanh, w, method="entry")': 'Literal["entry"]',
    "check_backward(np.tanh, np.tanh, w, step=1e-3)": '"step"',
    "assert_backward(np.tanh, np.tanh, w, step=1e-3)": '"step"',
    "assert_backward(np.tanh, np.tanh, w, cache=3)": "cache",
    "check_backward(np.tanh, np.tanh, w).pased": '"pased"',
}


def test_mypy_takes_what_is_right_and_refuses_each_mistake(tmp_path: Path) -> None:
    file = tmp_path / "users_file.py"
    file.write_text(RIGHT + "\n".join(WRONG) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--config-file=", file.name]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    first = RIGHT.count("\n") + 1
    errors = dict.fromkeys(range(first, first + len(WRONG)), "")
    for line in ran.stdout.splitlines():
        if "error:" in line:
            number = int(line.split(":")[1])
            errors[number] = errors.get(number, "") + line
    assert list(errors) == list(range(first, first + len(WRONG))), ran.stdout
    for said, (mistake, word) in zip(errors.values(), WRONG.items(), strict=True):
        assert word.replace('Literal["entry"]', "entry") in said, mistake
