"""Make a Jupyter notebook of a page: its text and code, in order."""

from __future__ import annotations

import json
import posixpath
import re
from typing import Any
from urllib.parse import urljoin

from fences import Block

# What a notebook does not understand, or would lead nowhere.
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(#[^)\s]*)?\)")
ATTRIBUTES = re.compile(r" *\{ ?[#.][\w #.-]+\}$", re.MULTILINE)
TAG = re.compile(r"<(\w+) [^>]*\bmarkdown\b[^>]*>")
DRAWING = re.compile(r'<svg[^>]* aria-label="([^"]*)".*?</svg>', re.DOTALL)


def notebook(parts: list[str | Block], page: Any, files: Any, site_url: str) -> str:
    """Give the page as a notebook, whose links lead to the site."""
    cells = []
    cell: dict[str, Any]
    for number, part in enumerate(parts):
        if isinstance(part, Block):
            tags = ["raises-exception"] if "raises" in part.options else []
            cell = {"cell_type": "code", "metadata": {"tags": tags}, "source": part.code}
            cell |= {"execution_count": None, "outputs": []}
        else:
            source = text(part, page, files, site_url)
            cell = {"cell_type": "markdown", "metadata": {}, "source": source}
        if cell["source"]:
            cells.append(cell | {"id": f"cell-{number}"})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def text(markdown: str, page: Any, files: Any, site_url: str) -> str:
    """Write a part of the page such that any Markdown reader understands it."""

    def absolute(link: re.Match[str]) -> str:
        place = posixpath.join(posixpath.dirname(page.file.src_uri), link[1])
        file = files.get_file_from_path(posixpath.normpath(place)) if link[1] else page.file
        return f"]({urljoin(site_url, file.url)}{link[2] or ''})" if file else link[0]

    markdown = LINK.sub(absolute, ATTRIBUTES.sub("", markdown))
    markdown = TAG.sub(r"<\1>", markdown)
    where = urljoin(site_url, page.url)
    return DRAWING.sub(rf'<a href="{where}">The figure on the page</a>: \1', markdown).strip()
