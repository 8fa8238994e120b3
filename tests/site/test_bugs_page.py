"""Every bug that a report can name is on the page of bugs, and every fault of the catalogue.

And beside each is what the check says of it.
"""

from __future__ import annotations

import ast
import re
import runpy
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from conftest import ROOT, Site
from generated import bugs, patterns

from gradcheck.learning import faults

if TYPE_CHECKING:
    from pathlib import Path

GENERATORS = [ROOT / f"docs/_build/generated/{name}.py" for name in ("bugs_by_name", "bugs")]
PAGE = "understand/bugs.md"
NAMES = [fault.name for fault in faults.CATALOGUE]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_what_the_check_says(site: Site, name: str) -> None:
    (block,) = [block for block in site.blocks(PAGE) if block["code"] == f'say("{name}")']
    assert block["output"].startswith("WRONG")
    assert "Look at: " in block["output"]


@pytest.mark.parametrize("fault", faults.CATALOGUE, ids=NAMES)
def test_the_page_shows_both_lines(site: Site, fault: faults.Fault) -> None:
    lines = [f"- {line}" for line in fault.wrong.splitlines()] + [f"+ {fault.right}"]
    shown = "\n".join(lines)
    assert f"\n{shown}\n```" in (site.path / PAGE).read_text()


def test_a_fault_that_is_added_appears(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    added = replace(faults.find("minus sign in front"), name="a new bug")
    catalogue = (*faults.CATALOGUE, added)
    for module in (faults, bugs):
        monkeypatch.setattr(module, "CATALOGUE", catalogue)
    for generator in GENERATORS:
        runpy.run_path(str(generator), run_name="__main__")
    printed = capsys.readouterr().out
    assert "[a new bug](#a-new-bug)" in printed
    assert 'say("a new bug")' in printed


# What the diagnosis says besides the names of bugs: places, reasons, parts of sentences.
NO_NAMES = """
    above the diagonal|below the diagonal|off the diagonal|on the diagonal|all of it|every array
    the gradient|columns|rows|entries|each column|each row|no slope|tanh itself|the slope of a ReLU
    the slope of tanh|the slope of the sigmoid s|missing|too much|a minus lost|makes of each
    right at another point|right with the absolute value of all parameters|grad|ignore|iu|of|to
    role|shape|bBiI|of a sum of two upstream gradients it does not make the sum of what it
"""
PHRASES = {"ignores", "not linear in"}  # and then: the upstream gradient


class Phrases(ast.NodeVisitor):
    """The phrases in code, but for docstrings, `__all__`, and what is part of an f-string."""

    def __init__(self, path: Path) -> None:
        self.found: set[str] = set()
        self.visit(ast.parse(path.read_text()))

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and re.fullmatch(r"[A-Za-z][\w ]+", node.value):
            self.found.add(node.value.strip())

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if ast.unparse(node.targets[0]) != "__all__":
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass


def test_every_name_that_a_report_can_say_is_on_the_page() -> None:
    no_names = {part.strip() for part in re.split(r"[|\n]", NO_NAMES)}
    code = [path for path in (ROOT / "gradcheck/explaining").glob("*.py") if path.stem != "words"]
    said = set().union(*(Phrases(path).found for path in code)) - no_names
    said = {f"{word} the upstream gradient" if word in PHRASES else word for word in said}
    assert said == {*bugs.by_name(), *patterns.by_name()}


@pytest.mark.parametrize("pattern", patterns.PATTERNS, ids=[p.wrong for p in patterns.PATTERNS])
def test_a_pattern_is_wrong_by_its_line_alone(pattern: patterns.Pattern) -> None:
    assert patterns.run(pattern.program(pattern.right)).passed
    assert patterns.run(pattern.program(pattern.wrong)).wrong


def test_each_pattern_has_a_name_of_its_own(site: Site) -> None:
    names = patterns.by_name()
    assert len(names) == len(patterns.PATTERNS)
    assert not names.keys() & bugs.by_name().keys()
    printed = "".join(block["output"] for block in site.blocks(PAGE))
    page = (site.path / "understand/bugs/index.html").read_text()
    for name in names:
        assert f": {name}. " in printed
        assert f'id="says-{bugs.anchor(name)}"' in page
