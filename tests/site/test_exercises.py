"""Each exercise has one bug, which the check finds, and which the line of the answer mends."""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

import pytest
from conftest import ROOT

import gradcheck

PAGE = (ROOT / "docs" / "learn" / "exercises.md").read_text()
_, *PARTS = re.split(r"^## (\d+\. .*)\n", PAGE.split("\n## And now yours")[0], flags=re.MULTILINE)
EXERCISES = dict(zip(PARTS[::2], PARTS[1::2], strict=True))
BLOCK = re.compile(r'^```python exec="true" [^\n]*\n(.*?)^```', re.DOTALL | re.MULTILINE)
MEND = re.compile(r"^```diff\n((?:- .*\n)+)((?:\+ .*\n)+)```", re.MULTILINE)


def lines(part: str) -> list[str]:
    """Give the lines of one side of a diff, without their signs."""
    return [line[2:] for line in part.splitlines()]


def mended(code: str, text: str) -> str:
    """Put the line of the answer in place of the one that is wrong."""
    ((wrong, right),) = MEND.findall(text)
    (wrong,) = lines(wrong)
    found = re.findall(rf"^( *){re.escape(wrong)}$", code, flags=re.MULTILINE)
    assert len(found) == 1, f"{wrong} is to be one whole line of the exercise"
    return code.replace(found[0] + wrong, "\n".join(found[0] + line for line in lines(right)))


def report(code: str, check: str, monkeypatch: pytest.MonkeyPatch) -> gradcheck.GradientReport:
    """Run an exercise and its check, as the page does; give the report that it prints."""
    reports = []
    for name in ("check_gradient", "check_backward"):
        function = getattr(gradcheck, name)

        def kept(*given: Any, function: Any = function, **options: Any) -> Any:
            reports.append(function(*given, **options))
            return reports[-1]

        monkeypatch.setattr(gradcheck, name, kept)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code + check, {"__name__": "__main__"})
    (made,) = reports
    assert printed.getvalue() == f"{made}\n"
    assert isinstance(made, gradcheck.GradientReport)
    return made


def test_there_are_ten() -> None:
    assert [title.split(".")[0] for title in EXERCISES] == [str(n) for n in range(1, 11)]


@pytest.mark.parametrize("title", EXERCISES)
def test_the_bug_is_found_and_the_answer_mends_it(
    title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = EXERCISES[title]
    code, check = BLOCK.findall(text)
    found = report(code, check, monkeypatch)
    assert found.wrong
    assert not found.unresolved
    assert "<summary>Check it</summary>" in text
    right = report(mended(code, text), check, monkeypatch)
    assert right.passed, right
    assert not any("blind" in word for word in right.headline().split()), right


@pytest.mark.parametrize("title", EXERCISES)
def test_the_answer_speaks_of_an_array_that_is_wrong(
    title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = EXERCISES[title]
    code, check = BLOCK.findall(text)
    found = report(code, check, monkeypatch)
    wrong, every = (
        {entry.name.split("[")[0] for entry in entries} for entries in (found.wrong, found.entries)
    )
    answer = text.split("<summary>The answer</summary>")[1]
    assert wrong == every or all(f"`{name}`" in answer for name in wrong)


def test_the_bugs_are_of_many_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only signs and factors, which a report names at once."""
    blocks = (BLOCK.findall(text) for text in EXERCISES.values())
    reports = [report(code, check, monkeypatch) for code, check in blocks]
    easy = [made for made in reports if made.findings[0].bug in {"sign", "factor", "batch size"}]
    assert len(easy) <= 2
