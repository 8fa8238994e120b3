"""Make a Jupyter notebook of a page: its text, its code and what the code showed, in order.

The first cell installs what the page imports, since a notebook is often opened where nothing is.
"""

from __future__ import annotations

import json
import posixpath
import re
import sys
from typing import Any
from urllib.parse import urljoin

import figures
from fences import Block

PACKAGE = "git+https://github.com/gradcheck/gradcheck"
IMPORT = re.compile(r"^ *(?:import|from) (\w+)", re.MULTILINE)

# What a notebook does not understand, or would lead nowhere.
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(#[^)\s]*)?\)")
ATTRIBUTES = re.compile(r" *\{ ?[#.][\w #.-]+\}$", re.MULTILINE)
TAG = re.compile(r"<(\w+) [^>]*\bmarkdown\b[^>]*>")
DATA = re.compile(r' data-(frames|examples)="[^"]*"')  # for scripts alone
DRAWING = re.compile(r'<svg[^>]* aria-label="([^"]*)".*?</svg>', re.DOTALL)


def notebook(parts: list[str | Block], page: Any, files: Any, site_url: str) -> str:
    """Give the page as a notebook, whose links lead to the site."""
    blocks = [part for part in parts if isinstance(part, Block)]
    cells: list[dict[str, Any]] = [code_cell(install(blocks), [])]
    for part in parts:
        if isinstance(part, Block):
            cells.append(code_cell(part.code, outputs(part)))
            if "raises" in part.options:
                cells[-1]["metadata"] = {"tags": ["raises-exception"]}
        elif source := text(part, page, files, site_url):
            cells.append({"cell_type": "markdown", "metadata": {}, "source": source})
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def install(blocks: list[Block]) -> str:
    """Write the cell that installs what the blocks import."""
    imported = {name for block in blocks for name in IMPORT.findall(block.code)}
    others = sorted(imported - sys.stdlib_module_names - {"gradcheck", "numpy"})
    return f"%pip install -q {' '.join([PACKAGE, *others])}"


def code_cell(source: str, shown: list[dict[str, Any]]) -> dict[str, Any]:
    """Give a cell of code with what it showed."""
    cell: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}}
    return cell | {"source": source, "outputs": shown}


def outputs(block: Block) -> list[dict[str, Any]]:
    """Give what a block printed, its error and its figures, as a notebook keeps them."""
    error = block.options.get("raises", "")
    printed, _, message = block.output.partition(f"{error}: ") if error else (block.output, "", "")
    shown: list[dict[str, Any]] = []
    if printed and "html" in block.options:
        shown.append(display("text/html", printed))
    elif printed:
        shown.append({"output_type": "stream", "name": "stdout", "text": printed})
    shown += [display("image/svg+xml", figures.alone(svg)) for svg in block.figures]
    if error:
        told = {"ename": error, "evalue": message.strip(), "traceback": [f"{error}: {message}"]}
        shown.append({"output_type": "error"} | told)
    return shown


def display(kind: str, data: str) -> dict[str, Any]:
    """Give an output that is no plain text."""
    return {"output_type": "display_data", "metadata": {}, "data": {kind: data}}


def text(markdown: str, page: Any, files: Any, site_url: str) -> str:
    """Write a part of the page such that any Markdown reader understands it."""

    def absolute(link: re.Match[str]) -> str:
        place = posixpath.join(posixpath.dirname(page.file.src_uri), link[1])
        file = files.get_file_from_path(posixpath.normpath(place)) if link[1] else page.file
        return f"]({urljoin(site_url, file.url)}{link[2] or ''})" if file else link[0]

    markdown = LINK.sub(absolute, ATTRIBUTES.sub("", markdown))
    markdown = DATA.sub("", markdown)
    markdown = TAG.sub(r"<\1>", markdown)
    where = urljoin(site_url, page.url)
    return DRAWING.sub(rf'<a href="{where}">The figure on the page</a>: \1', markdown).strip()
