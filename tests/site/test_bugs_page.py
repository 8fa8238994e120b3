"""Every fault of the catalogue is on the page of bugs, with what the check says of it."""

from __future__ import annotations

import runpy
from dataclasses import replace

import pytest
from conftest import ROOT, Site

from gradcheck.learning import faults

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
    assert f"```diff\n{shown}\n```" in (site.path / PAGE).read_text()


def test_a_fault_that_is_added_appears(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    added = replace(faults.find("minus sign in front"), name="a new bug")
    monkeypatch.setattr(faults, "CATALOGUE", (*faults.CATALOGUE, added))
    monkeypatch.syspath_prepend(ROOT / "docs" / "_build")
    for generator in GENERATORS:
        runpy.run_path(str(generator), run_name="__main__")
    printed = capsys.readouterr().out
    assert "[a new bug](#a-new-bug)" in printed
    assert 'say("a new bug")' in printed
