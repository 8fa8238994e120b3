"""Pages are short, and say the words that people search for."""

from __future__ import annotations

import re

import pytest
from conftest import PAGES, ROOT, Site

MOST = 1300
OTHER = {"learn/nine-steps.md": 1200, "understand/bugs.md": 1500, "understand/trust.md": 1500}
FENCE = re.compile(r"^ *(`{3,})[^`\n]*\n.*?^ *\1 *$", re.DOTALL | re.MULTILINE)


def words(text: str) -> int:
    """Count the words of a page besides code, tables, drawings and the addresses of its links."""
    text = re.sub(r"<(svg|fieldset|output)\b.*?</\1>", "", FENCE.sub("", text), flags=re.DOTALL)
    text = re.sub(r"^ *\|.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)|<[^>]+>", " ", text)
    return len(re.findall(r"\S*\w\S*", text))


def test_words_are_counted() -> None:
    code, table = "```python\nno = 1\n```", "| no | no |"
    assert (
        words(f"# A [link](to/there.md)\n\n{code}\n\n{table}\n\nTwo `words`, <b>three</b>.\n") == 5
    )


@pytest.mark.parametrize("page", [page for page in PAGES if page != "reference.md"])
def test_page_is_short(site: Site, page: str) -> None:
    assert words((site.path / page).read_text()) <= OTHER.get(page, MOST)


def test_what_contributing_names_exists() -> None:
    page = (ROOT / "docs/contributing.md").read_text()
    named = re.findall(r"`(?:\.venv/bin/\w+ )?((?:gradcheck|tests|docs|\.ci)/[^`\s]*)", page)
    assert [path for path in named if not (ROOT / path).exists()] == []
    rooms = [path.parent.name for path in (ROOT / "gradcheck").glob("*/__init__.py")]
    assert [room for room in rooms if f"`gradcheck/{room}/`" not in page] == []
