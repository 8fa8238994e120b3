"""The README shows what its code prints, and its commands are the ones that work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def without_round_off(text: str) -> str:
    """Leave out how small a difference was: it is round-off, which depends on the processor."""
    return re.sub(r"<\de-\d\d", "<?e-??", text)


def test_code_prints_what_is_shown() -> None:
    code, shown = "".join(blocks("python")), "".join(blocks("text"))
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.stderr == ""
    assert without_round_off(ran.stdout) == without_round_off(shown)


def test_check_is_shown_before_anything_is_explained() -> None:
    assert README.startswith("# gradcheck\n\n```python\n")


def test_home_page_begins_with_the_same_two_checks() -> None:
    home = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    shown = re.findall(r'^```python exec="true"[^\n]*\n(.*?)^```', home, re.DOTALL | re.MULTILINE)
    assert shown[:2] == blocks("python")


def test_first_check_is_ten_lines_and_needs_no_package() -> None:
    first = blocks("python")[0]
    assert "import" not in first
    assert sum(bool(line) for line in first.splitlines()) == 10


def test_home_page_tells_how_to_install_and_cite_in_the_same_way() -> None:
    home = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    (cite,) = blocks("bibtex")
    assert "pip install ./gradcheck" in README
    assert "$ pip install ./gradcheck" in home
    assert f"```bibtex\n{cite}```" in home


def test_two_commands_of_one_line() -> None:
    start = "python3 -m venv .venv && .venv/bin/pip install -e "
    assert blocks("console") == [
        f"{start}'.[docs]' && .venv/bin/mkdocs serve\n",
        f"{start}'.[docs,test]' && .venv/bin/pytest -n auto --dist loadgroup\n",
    ]


def test_links_lead_to_pages_there_are() -> None:
    pages = re.findall(r"https://gradcheck\.github\.io/gradcheck/([\w/-]+)/\)", README)
    assert len(pages) >= 5
    for page in pages:
        assert (ROOT / "docs" / f"{page}.md").is_file(), page


def test_version_to_cite_is_the_version() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.*)"$', pyproject, re.MULTILINE)
    assert version is not None
    assert f"version = {{{version[1]}}}" in README
