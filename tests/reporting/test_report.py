"""What a check prints: a sentence, a table of 80 columns, and what to know besides."""

import json
import math
import re
import tracemalloc
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from gradcheck import Entry, GradientReport, check_gradient
from gradcheck.reporting.text import rows

LONG = "decoder.layers.11.self_attention.output_projection.weight"


def loss(w: Any) -> Any:
    return np.sum(np.exp(w))


def report_of(factor: Any = 1.0, size: int = 4, **options: Any) -> GradientReport:
    x0 = np.random.default_rng(size).normal(size=size)
    return check_gradient(loss, lambda w: factor * np.exp(w), x0, **options)


def wide(line: str) -> bool:
    return len(line) > 80


# ---------------------------------------------------------------- the verdict


def test_a_report_is_true_where_the_gradient_passed() -> None:
    for report, expected in ((report_of(), True), (report_of(2.0), False)):
        assert report.passed is expected
        assert bool(report) is expected


def test_raise_if_wrong_raises_only_then_and_holds_the_text() -> None:
    report_of().raise_if_wrong()
    report = report_of(2.0)
    with pytest.raises(AssertionError) as caught:
        report.raise_if_wrong()
    assert str(caught.value) == str(report)  # pytest's summary shows the first line


@pytest.mark.parametrize(
    ("factor", "size", "headline"),
    [
        (1.0, 4, "PASSED: 4 partial derivatives agree with the loss."),
        (1.0, 1, "PASSED: 1 partial derivative agrees with the loss."),
        (1.0, 1_234, "PASSED: 1,234 partial derivatives agree with the loss."),
        (2.0, 4, "WRONG: 4 of 4 partial derivatives disagree."),
        (np.array([1, 1, 2, 1]), 4, "WRONG: 1 of 4 partial derivatives disagrees."),
        (2.0, 1, "WRONG: 1 of 1 partial derivative disagrees."),
    ],
)
def test_the_first_line_is_the_verdict_in_a_sentence(factor: Any, size: int, headline: str) -> None:
    report = report_of(factor, size, method="entries")
    assert report.headline() == headline
    assert str(report).splitlines()[0] == headline


def test_the_first_line_of_wrong_and_unresolved_together() -> None:
    x0 = np.array([1.0, 2.0, 3.0])
    report = check_gradient(
        lambda w: np.sum(w) if w[0] == 1.0 else np.nan, np.array([1.0, 2.0, 1.0]), x0
    )
    assert report.headline() == (
        "WRONG: 1 of 3 partial derivatives disagrees; "
        "1 could not be resolved (no proof against the gradient)."
    )
    assert [e.name for e in report.wrong] == ["[1]"]
    assert [e.name for e in report.unresolved] == ["[0]"]


# ---------------------------------------------------------------- the table


def test_the_worst_entries_come_first() -> None:
    factor = np.array([1.0, 1.1, 1.0, -0.5, 1.5, np.nan])
    report = report_of(factor, 6)
    assert [e.name for e in report.wrong] == ["[5]", "[3]", "[4]", "[1]"]
    rows = [line.split()[0] for line in report.table().splitlines()[1:]]
    assert rows == ["[5]", "[3]", "[4]", "[1]", "[0]", "[2]"]


def test_wrong_comes_before_unresolved_and_that_before_kinks() -> None:
    def fun(w: Any) -> Any:
        return w[0] + abs(w[1]) + w[3] if w[2] == 0 else np.nan

    report = check_gradient(fun, np.array([1.0, 0.5, 0.0, 2.0]), np.zeros(4))
    verdicts = [line.split()[-1] for line in report.table().splitlines()[1:]]
    assert verdicts == ["wrong", "unresolved", "kink", "agree"]


NAMES = ["w", "x" * 17, "x" * 20, "x" * 21, LONG, LONG * 3, "größe", "重み" * 10, "a\tb"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1.0, 1e-290, 1e150, 1e-12, 1e12])
@pytest.mark.parametrize("kind", ["right", "wrong", "nan", "inf", "-inf", "unresolved"])
def test_no_line_is_longer_than_80_columns(name: str, scale: float, kind: str) -> None:
    values = {"right": 1.0, "wrong": -2.5, "nan": np.nan, "inf": np.inf, "-inf": -np.inf}
    x0 = {name: np.linspace(0.5, 1.5, 30).reshape(5, 6)}

    def fun(p: Any) -> Any:
        if kind == "unresolved" and not np.array_equal(p[name], x0[name]):
            return np.nan
        return scale * loss(p[name])

    factor = values.get(kind, 1.0)
    report = check_gradient(fun, lambda p: {name: factor * scale * np.exp(p[name])}, x0)
    lines = report.table().splitlines()
    assert not list(filter(wide, lines))
    assert not list(filter(wide, str(report).splitlines()))
    shown = 8 if kind == "right" else 20
    assert len(lines) == 1 + shown + 1  # header, rows, "and more": a name never breaks a line
    assert len(lines[1].split()) >= 6


def test_a_name_that_was_cut_still_says_which_entry() -> None:
    x0 = {LONG + ".a": np.ones((2, 2)), LONG + ".b": np.ones((2, 2))}
    gradient = {key: np.exp(x) for key, x in x0.items()}
    gradient[LONG + ".b"][1, 0] = 0.0
    report = check_gradient(lambda p: sum(loss(v) for v in p.values()), gradient, x0)
    assert report.wrong[0].name == f"{LONG}.b[1, 0]"
    assert report.table().splitlines()[1].split("  ")[0].endswith(".b[1, 0]")


@pytest.mark.parametrize(("size", "max_rows"), [(5, 20), (50, 20), (50, 3), (50, 50), (50, 0)])
def test_max_rows_limits_the_table_and_says_what_is_left_out(size: int, max_rows: int) -> None:
    report = report_of(1.5, size)
    lines = report.table(max_rows).splitlines()
    rows = [line for line in lines if line.startswith("[")]
    assert len(rows) == min(size, max_rows)
    if 0 < max_rows < size:
        assert lines[-1] == f"... and {size - max_rows:,} more, none of them worse"
    else:
        assert "more" not in "".join(lines)


def test_by_default_the_table_has_20_rows() -> None:
    report = report_of(1.5, 50)
    assert report.table() == report.table(20) == report.table(max_rows=20)
    assert report.table() in str(report)


def test_an_empty_table_leaves_no_gap() -> None:
    report = report_of(size=50, method="directions")
    assert report.table() == ""
    assert "\n\n\n" not in str(report)


def test_digits_of_round_off_are_not_printed() -> None:
    """They differ between processors; their order of magnitude does not."""
    for line in report_of(size=20).table(20).splitlines()[1:]:
        difference = line.split()[3]
        assert re.fullmatch(r"<\de[+-]\d\d|0", difference), line
    for line in report_of(1.5).table().splitlines()[1:]:
        assert re.fullmatch(r"\d\.\de[+-]\d\d", line.split()[3]), line


def test_a_bound_is_above_what_it_bounds() -> None:
    report = report_of(1 + 2e-7, 30)
    for line, entry in zip(report.table(30).splitlines()[1:], report.entries, strict=False):
        cell = line.split()[3]
        if cell != "0":
            difference = abs(entry.analytic - entry.numerical)
            assert difference < float(cell[1:]) <= 10.001 * difference


# ---------------------------------------------------------------- what is said besides


def test_calls_and_method_are_said() -> None:
    report = report_of()
    assert re.search(rf"{report.nfev:,} calls of `fun`.*'entries'", " ".join(str(report).split()))


def test_what_could_not_have_been_seen_is_said_by_name() -> None:
    x0 = {"large": np.ones(3), "small": np.ones(3)}

    def fun(p: Any) -> Any:
        return 1e10 * loss(p["large"]) + 1e-8 * loss(p["small"])

    right = {"large": 1e10 * np.exp(x0["large"]), "small": 1e-8 * np.exp(x0["small"])}
    report = check_gradient(fun, right, x0)
    assert report.passed
    assert report.resolution["small"] > 0.1 > report.resolution["large"]
    assert report.blind == ("small",)
    assert "small" in str(report).split("verdict")[1].replace("small[", "")


def test_nothing_is_said_of_a_resolution_that_is_fine() -> None:
    assert "may go unseen" not in str(report_of())
    assert "Nothing to tell" not in str(report_of())


# ---------------------------------------------------------------- entries


def test_entries_are_a_sequence() -> None:
    report = report_of(size=10)
    entries = report.entries
    assert len(entries) == 10
    assert isinstance(entries[0], Entry)
    assert entries[-1] == entries[9]
    assert [e.name for e in entries[2:8:3]] == ["[2]", "[5]"]
    assert [e.name for e in entries] == [f"[{i}]" for i in range(10)]
    assert entries[3] in entries
    assert next(reversed(entries)).name == "[9]"
    for index in (10, -11):
        with pytest.raises(IndexError):
            entries[index]


def test_entries_run_through_all_arrays_in_order() -> None:
    x0 = {"b": np.ones(2), "empty": np.zeros(0), "a": np.ones((1, 2)), "c": 1.0}
    report = check_gradient(
        lambda p: sum(loss(v) for v in p.values()),
        lambda p: {k: np.exp(v) for k, v in p.items()},
        x0,
    )
    assert [e.name for e in report.entries] == ["b[0]", "b[1]", "a[0, 0]", "a[0, 1]", "c"]


def test_a_report_of_100_000_entries_stays_small() -> None:
    x0 = np.ones(100_000)
    tracemalloc.start()
    try:
        report = check_gradient(lambda w: 0.0, np.zeros(100_000), x0, method="entries")
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        text = str(report)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(report.entries) == 100_000
    assert held < 100 * 100_000  # about ten numbers an entry; tuples would be 400 bytes each
    assert peak - held < 100 * 100_000
    assert len(text) < 3_000


# ---------------------------------------------------------------- other forms


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", '"><img src=x>', "W<1>"])
def test_html_escapes_the_names_that_a_user_gave(name: str) -> None:
    x0 = {name: np.ones(3), "b": np.ones(2)}
    report = check_gradient(
        lambda p: loss(p[name]) + loss(p["b"]), lambda p: {name: 0 * p[name], "b": -p["b"]}, x0
    )
    parsed = Cells()
    parsed.feed(report._repr_html_())
    assert set(parsed.tags) <= {
        "p",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "br",
        "b",
        "ul",
        "li",
    }
    assert name in "".join(parsed.text)
    assert report.headline() in parsed.text


@pytest.mark.parametrize("factor", [1.0, -1.0, np.nan, np.inf])
def test_html_has_the_rows_of_the_table(factor: float) -> None:
    parsed = Cells()
    parsed.feed(report_of(factor, 30)._repr_html_())
    assert parsed.tags.count("tr") == 1 + (8 if factor == 1.0 else 20)
    assert parsed.text.count("[0]") == 1
    assert parsed.tags.count("table") == 1


@pytest.mark.parametrize("factor", [1.0, 2.0, 0.0, np.array([1, np.nan, np.inf, -np.inf])])
@pytest.mark.parametrize("method", ["entries", "directions"])
def test_to_dict_is_what_json_can_hold(factor: Any, method: str) -> None:
    report = report_of(factor, method=method)
    plain = report.to_dict()
    # No NaN and no Infinity: JSON has neither, and other languages refuse them.
    again = json.loads(json.dumps(plain, allow_nan=False))
    assert again["passed"] is report.passed
    assert again["nfev"] == report.nfev
    assert again["method"] == method
    assert again["complete"] is report.complete
    assert [e["name"] for e in again["wrong"]] == [e.name for e in report.wrong]
    assert len(again["findings"]) == len(report.findings)


def test_to_dict_holds_the_unresolved_and_a_resolution_that_is_infinite() -> None:
    x0 = np.ones(2)
    report = check_gradient(lambda w: 1.0 if np.all(w == 1) else np.nan, np.zeros(2), x0)
    again = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [e["name"] for e in again["unresolved"]] == ["[0]", "[1]"]
    flat = check_gradient(lambda w: 1.0, np.zeros(2), x0)
    assert math.isinf(flat.resolution[""])
    json.dumps(flat.to_dict(), allow_nan=False)


def test_columns_never_touch() -> None:
    """Where nothing moves, at kinks, and where an error bar is wide, the cells are long."""
    w = np.array([0.71, -2e-8])
    reports = [
        check_gradient(lambda v: np.sum(w**2), lambda v: 2 * v, w),
        check_gradient(lambda v: np.sum(np.abs(v)), lambda v: [2.0, -2.0], np.zeros(2)),
        check_gradient(lambda v: v[0] ** 2 + 1e-8 * v[1] ** 2, lambda v: [1.5, -2e-7], w),
        check_gradient(lambda v: -1.2e-5 * np.sum(np.abs(v)), lambda v: 1e-5 * w, -0.0 * w),
    ]
    for report in reports:
        for line in report.table().splitlines():
            assert len(re.split(r"  +", line.strip())) == 6, line
            assert not wide(line)


def test_a_slope_of_exactly_zero_is_no_interval() -> None:
    w = np.array([0.71, -0.26])
    report = check_gradient(lambda v: np.sum(w**2), lambda v: 2 * v, w)
    assert [row[2] for row in rows(report)] == ["0.000000e+00"] * 2


@pytest.mark.parametrize("name", ["conv{}.kernel", "transformer.layers.{}.attention.projection"])
def test_rows_can_be_told_apart(name: str) -> None:
    x0 = {name.format(k): np.ones((2, 2, 2)) for k in (1, 2)}
    report = check_gradient(
        lambda p: sum(np.sum(v**3) for v in p.values()),
        lambda p: {key: 3 * v**2 + (np.arange(8).reshape(2, 2, 2) == 5) for key, v in p.items()},
        x0,
    )
    names = [line.split("  ")[0] for line in report.table().splitlines()]
    assert len(set(names)) == len(names)
    assert len(report.wrong) == 2
    assert all(entry.name in report._repr_html_() for entry in report.wrong)  # in full


def test_unresolved_entries_are_said_out_of_how_many() -> None:
    report = check_gradient(
        lambda w: np.sum(w) if w[0] == 1.0 else np.nan, np.ones(3), np.array([1.0, 2.0, 3.0])
    )
    assert report.headline().startswith("UNRESOLVED: 1 of 3 partial derivatives could not be")


def test_an_array_with_a_wrong_entry_is_not_said_to_tell_nothing() -> None:
    report = check_gradient(np.sum, np.full(3, np.nan), np.ones(3), method="directions")
    assert len(report.wrong) == 3
    assert "Nothing to tell" not in str(report)
