"""The words of a report: they name arrays first, and never say the same thing twice as a range."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck import GradientReport, assert_gradient, check_backward, check_gradient
from gradcheck.reporting.text import rows, shortened


def loss(p: Any) -> Any:
    return sum(np.sum(np.exp(x)) for x in p.values())


def report_of(factors: dict[str, Any], dtype: Any = float, **options: Any) -> GradientReport:
    rng = np.random.default_rng(0)
    x0 = {name: rng.normal(size=6).astype(dtype) for name in factors}

    def grad(p: Any) -> Any:
        return {name: (f * np.exp(p[name])).astype(dtype) for name, f in factors.items()}

    return check_gradient(loss, grad, x0, **options)


# ---------------------------------------------------------------- the first line


@pytest.mark.parametrize("method", ["entries", "directions"])
def test_the_first_words_name_the_arrays_that_are_wrong(method: Any) -> None:
    report = report_of({"W1": 1.0, "b1": -1.0, "W2": 1.0, "b2": 2.0}, method=method)
    assert report.headline().startswith("WRONG in b1, b2: ")
    assert report_of({"W1": 1.0}, method=method).headline().startswith("PASSED: 6 partial")


def test_many_names_are_counted() -> None:
    report = report_of({f"layer{k}.weight": -1.0 for k in range(9)})
    assert report.headline().startswith(
        "WRONG in layer0.weight, layer1.weight and 7 more: 54 of 54"
    )


def test_unresolved_arrays_are_named() -> None:
    x0 = {"a": np.ones(2), "b": np.ones(2)}
    report = check_gradient(
        lambda p: np.sum(p["a"]) if np.all(p["b"] == 1) else np.nan,
        {"a": np.ones(2), "b": np.zeros(2)},
        x0,
    )
    assert report.headline().startswith("UNRESOLVED in b: 2 of 4 partial derivatives could not")


def test_the_headline_says_what_only_the_linearity_tells() -> None:
    def backward(u: Any, x: Any) -> Any:
        return np.where(
            np.abs(u).sum() > 5 * u.size, 2 * u, u
        )  # right unless the upstream is large

    report = check_backward(lambda x: 1 * x, backward, np.ones((2, 3)), method="entries")
    assert not report
    assert report.headline().startswith("WRONG")
    assert report.findings[0].bug == "not linear in the upstream gradient"


def test_the_short_summary_of_pytest_names_the_array(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import numpy as np\n"
        "from gradcheck import assert_gradient, check_gradient\n"
        "x0 = {'W1': np.ones(3), 'b1': np.ones(2)}\n"
        "def loss(p): return p['W1'] @ p['W1'] + p['b1'] @ p['b1']\n"
        "def grad(p): return {'W1': 2 * p['W1'], 'b1': -2 * p['b1']}\n"
        "def test_asserted(): assert_gradient(loss, grad, x0, max_rows=1)\n"
        "def test_plain(): assert check_gradient(loss, grad, x0)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, text=True, env={"COLUMNS": "80", "PATH": ""},
    )  # fmt: skip
    assert ran.returncode == 1
    *_, asserted, plain, _ = ran.stdout.splitlines()
    assert asserted.startswith("FAILED test_it.py::test_asserted - AssertionError: WRONG in b1")
    assert plain.startswith(
        "FAILED test_it.py::test_plain - AssertionError: assert <WRONG in b1: 2 of 5"
    )
    assert "b1: sign. Print it for more.>" in ran.stdout
    assert "\\n" not in ran.stdout
    assert ran.stdout.count(" wrong\n") == 1  # the table has one row


def test_a_report_of_one_line_is_one_line() -> None:
    for factor in (1.0, 2.0, np.nan):
        text = repr(report_of({"W": factor, "b": 1.0}))
        assert "\n" not in text
        assert len(text) < 240  # what pytest shows of a value


# ---------------------------------------------------------------- single precision


@pytest.mark.parametrize(
    ("dtype", "factor", "said"),
    [
        (np.float32, 1.0, False),
        (np.float32, -1.0, False),
        (np.float32, 1.01, True),
        (float, 1.01, False),
    ],
)
def test_float64_is_advised_where_it_would_tell(dtype: Any, factor: float, said: bool) -> None:
    report = report_of({"W": 1.0, "b": factor}, dtype)
    advice = "float32 takes part: a check in float64 (`dtype=float`) would tell."
    assert (advice in " ".join(str(report).split())) is said


def test_float64_is_advised_where_an_array_is_too_small_to_be_seen() -> None:
    x0 = {"large": np.ones(3, np.float32), "small": np.ones(3, np.float32)}
    tiny = np.float32(1e-9)
    report = check_gradient(
        lambda p: np.sum(p["large"] ** 2) + tiny * np.sum(p["small"] ** 2),
        lambda p: {"large": 2 * p["large"], "small": -2 * tiny * p["small"]},
        x0,
    )
    assert "`dtype=float`" in str(report)


# ---------------------------------------------------------------- cells and names


def test_a_range_has_two_ends_that_differ() -> None:
    """Kinks and wide bars, among them slopes that differ by little."""
    x = np.zeros(4)
    up, down = np.array([1, 1.001, -0.1399, 2]), np.array([-1, 1, -0.1401, 2 - 1e-9])

    def fun(w: Any) -> Any:
        return np.sum(np.where(w > 0, up * w, down * w))

    for gradient in ((up + down) / 2, 3 * up):
        for row in rows(check_gradient(fun, gradient, x)):
            ends = re.split(r" to | ± ", row[2])
            assert len(set(ends)) == len(ends), row


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("W1[3, 1]", "W1[3, 1]"),
        ("hidden[0].weights[3, 1]", "hidden[0].w…[3, 1]"),
        ("decoder.layers[11].projection[200, 31]", "decoder…[200, 31]"),
        ("a_very_long_name_without_an_index", "a_very_long_name…"),
    ],
)
def test_a_name_is_cut_between_its_first_and_its_last_index(name: str, short: str) -> None:
    found = shortened(name)
    assert len(found) <= 18
    assert found.startswith(short.partition("…")[0])
    assert found.endswith(short.partition("…")[2])


def test_to_dict_says_what_was_checked_and_how() -> None:
    w = np.ones(3)
    report = check_gradient(lambda w: np.sum((w - 1) ** 2), lambda w: -2 * (w - 1), w, rtol=1e-5)
    plain = report.to_dict()
    assert plain["headline"] == report.headline()
    assert plain["rtol"] == 1e-5
    assert plain["blind"] == list(report.blind)
    assert re.fullmatch(r"\d+\.\d+.*", plain["version"])


def test_options_of_an_assertion_are_those_of_the_check() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_gradient(loss, {"W": np.zeros(30)}, {"W": np.ones(30)}, max_rows=3)
    assert str(caught.value).count("wrong\n") == 3
    assert "... and 27 more" in str(caught.value)
