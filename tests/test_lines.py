"""How many lines a reader writes to check what they have: counted on the page that shows them."""

import re
import textwrap
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs/do/your-back-pass.md").read_text(encoding="utf-8")
TABS = dict(re.findall(r'^=== "(.*?)"\n\n(.*?)(?=^\S)', PAGE, re.DOTALL | re.MULTILINE))
MOST = {
    "Layer": 1,
    "Layer object": 5,
    "Two functions": 1,
    "Flat theta": 2,
    "Class": 4,
    "PyTorch": 4,
    "JAX": 3,
}


def test_every_form_has_its_tab() -> None:
    assert list(TABS) == list(MOST)


@pytest.mark.parametrize("form", MOST)
def test_a_check_takes_as_few_lines_as_promised(form: str) -> None:
    (code,) = re.findall(r"```python[^\n]*\n(.*?)^ *```", TABS[form], re.DOTALL | re.MULTILINE)
    _, check = textwrap.dedent(code).split("# The check:\n")
    shown = re.compile(r"(from .* import |print\(report|$)")
    lines = [line for line in check.splitlines() if not shown.match(line)]
    assert len(lines) == MOST[form], lines
    assert max(map(len, lines)) <= 79
