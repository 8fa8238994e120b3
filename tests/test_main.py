"""`python -m gradcheck` prints what the tutorial prints, and both print what is true."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

import gradcheck

ROOT = Path(__file__).parents[1]
STEPS = range(1, 10)


BLOCK = re.compile(r'^```python exec="true" session="steps"[^\n]*\n(.*?)^```', re.DOTALL | re.M)


def printed(text: str, names: dict[str, Any]) -> str:
    """Run the blocks of a part of the page, which go on from those before."""
    with contextlib.redirect_stdout(io.StringIO()) as output, mpl.rc_context():
        mpl.use("template")  # draws figures, and shows them to nobody
        for code in BLOCK.findall(text):
            exec(compile(code, "nine-steps.md", "exec"), names)
    return output.getvalue()


def sections(text: str, heading: str) -> dict[int, str]:
    """Cut a text at its numbered headings."""
    parts = re.split(heading, text, flags=re.MULTILINE)
    return {int(number): body for number, body in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.fixture(scope="module")
def tutorial() -> dict[int, str]:
    """What the blocks of each step of the page print, and after them the end of the story (10)."""
    page = (ROOT / "docs/learn/nine-steps.md").read_text(encoding="utf-8")
    start, end = page.split("\n## The end of the story")
    steps = sections(start.split("\n## Now break it")[0], r"^## (\d)\. .*\n") | {10: end}
    names: dict[str, Any] = {"__name__": "__main__"}
    return {step: printed(text, names) for step, text in steps.items()}


@pytest.fixture(scope="module")
def program() -> dict[int, str]:
    """What `python -m gradcheck` prints for each step."""
    command = [sys.executable, "-W", "error", "-m", "gradcheck"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return sections(ran.stdout, r"^(\d)\. .*\n")


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.\d+(?!\d)", text)]


def test_both_have_all_nine_steps(tutorial: dict[int, str], program: dict[int, str]) -> None:
    assert list(tutorial) == [*program, 10] == [*STEPS, 10]


@pytest.mark.parametrize("step", STEPS)
def test_program_and_tutorial_print_the_same(
    tutorial: dict[int, str], program: dict[int, str], step: int
) -> None:
    assert numbers(tutorial[step])
    assert program[step].rstrip("\n") == tutorial[step].rstrip("\n")


def test_headings_are_the_same() -> None:
    page = (ROOT / "docs/learn/nine-steps.md").read_text(encoding="utf-8")
    source = (ROOT / "gradcheck/__main__.py").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\d\. .*)$", page, flags=re.MULTILINE)
    assert headings == re.findall(r'print\("(?:\\n)?(\d\. .*)"\)$', source, flags=re.MULTILINE)


def test_numbers_are_those_of_plain_numpy(program: dict[int, str]) -> None:
    """The same figures from the file of data and NumPy, without a line of the package."""
    with (ROOT / "gradcheck/learning/swiss.csv").open(encoding="utf-8") as file:
        rows = np.array([row[1:] for row in list(csv.reader(file))[1:]], dtype=float)
    y, features = rows[:, 0], rows[:, 1:]
    X = np.ones((47, 6))
    X[:, 1:] = (features - features.mean(axis=0)) / features.std(axis=0)
    w = np.random.default_rng(0).normal(size=6)
    deviation = X @ w - y
    slopes = np.array([np.sum(deviation * X[:, i]) for i in range(6)])

    assert numbers(program[5]) == [*w.round(6), round(np.sum(deviation**2) / 2, 4)]
    assert numbers(program[6]) == list(slopes.round(6))
    assert numbers(program[8]) == list(slopes.round(4))
    moved = np.array(numbers(program[7])[2:]).reshape(6, 3)
    assert moved == pytest.approx(np.column_stack([w, w - 0.01 * slopes, slopes]), abs=1e-6)
    assert "PASSED: 6 partial derivatives" in program[9]
    assert program[9].count("within 1e-8: True") == 6


def test_descent_meets_least_squares(tutorial: dict[int, str]) -> None:
    lines = tutorial[10].splitlines()
    assert len(lines) == 6
    for line in lines:
        descent, least_squares = numbers(line)
        assert descent == least_squares


def test_the_reader_writes_what_is_checked() -> None:
    """The loss, its gradient and the slopes stand on the page, before the package is called."""
    page = (ROOT / "docs/learn/nine-steps.md").read_text(encoding="utf-8")
    code = "".join(BLOCK.findall(page))
    assert re.findall(r"^(?:from|import) (gradcheck\S*)", code, flags=re.M) == [
        "gradcheck.learning.data",
        "gradcheck",
    ]
    by_hand = code.split("from gradcheck import check_gradient")[0]
    assert "def loss(" in by_hand
    assert "def gradient(" in by_hand
    assert "slopes[i] = " in by_hand


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "gradcheck", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_it_answers_what_one_asks_first() -> None:
    for word in ("--help", "-h"):
        ran = run(word)
        assert ran.returncode == 0
        assert "nine steps" in ran.stdout
        assert "check_gradient" in ran.stdout
    ran = run("--version")
    assert (ran.returncode, ran.stdout) == (0, f"gradcheck {gradcheck.__version__}\n")


@pytest.mark.parametrize("word", ["my_network.py", "--verbose", "10"])
def test_an_unknown_word_is_refused(word: str) -> None:
    ran = run(word)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert f"unrecognized arguments: {word}" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_closed_pipe_is_no_error() -> None:
    program = [sys.executable, "-u", "-m", "gradcheck"]
    with subprocess.Popen(program, cwd=ROOT, stdout=-1, stderr=-1, text=True) as ran:
        assert ran.stdout is not None
        assert ran.stderr is not None
        assert ran.stdout.readline().startswith("1. ")
        ran.stdout.close()
        assert ran.stderr.read() == ""
    assert ran.returncode == 0
