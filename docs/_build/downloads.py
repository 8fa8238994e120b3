"""Offer each page as a script, a notebook and plain Markdown, and say with what it was run."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any
from urllib.parse import quote

from fences import Block
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

NAMES = {"gradcheck": "gradcheck", "numpy": "NumPy", "scipy": "SciPy", "matplotlib": "Matplotlib"}
ISSUES = "https://github.com/gradcheck/gradcheck/issues/new?title="


def on_page_content(content: str, *, page: Any, config: Any, files: Any) -> str:
    """Write the page's files, and put a line that leads to them at its end."""
    parts = page.meta.get("parts", [])
    stem = page.file.src_uri.removesuffix(".md")
    notes = []
    if any(isinstance(part, Block) for part in parts):
        made = {f"{stem}.py": script(parts), f"{stem}.ipynb": notebook(parts)}
        links = []
        for (name, text), label in zip(made.items(), ["script (.py)", "notebook (.ipynb)"], strict=True):
            files.append(File.generated(config, name, content=text))
            links.append(f'<a href="{get_relative_url(name, page.url)}" download>{label}</a>')
        notes.append("All code of this page: " + " · ".join(links))
        versions = page.meta.get("versions", {})
        ran = [f"{label} {versions[name]}" for name, label in NAMES.items() if name in versions]
        if ran:
            notes.append(f"It was run with {', '.join(ran)} and Python {versions['python']}.")
    title = quote(f"{page.title}: ")
    notes.append(f'Something wrong or hard to follow? <a href="{ISSUES}{title}">Tell us</a>.')
    lines = "".join(f"<p>{note}</p>" for note in notes)
    return f'{content}<div class="about" data-search-exclude>{lines}</div>'


def script(parts: list[str | Block]) -> str:
    """All code of the page, in order, as one file."""
    cells = []
    heading = ""
    for part in parts:
        if isinstance(part, Block):
            cells.append(f"# %% {heading}".rstrip() + f"\n{runnable(part)}\n")
        else:
            heading = (re.findall(r"^#+ +(.*?)(?: *\{.*\})?$", part, re.MULTILINE) or [heading])[-1]
    return "\n".join(cells)


def runnable(block: Block) -> str:
    """The code of a block; an error that it shows does not end the script."""
    error = block.options.get("raises")
    if not error:
        return block.code
    code = textwrap.indent(block.code, "    ")
    return f'try:\n{code}\nexcept {error} as error:\n    print(f"{{type(error).__name__}}: {{error}}")'


def notebook(parts: list[str | Block]) -> str:
    """The page as a Jupyter notebook: text and code, in order."""
    cells: list[dict[str, Any]] = []
    for number, part in enumerate(parts):
        cell: dict[str, Any] = {"id": f"cell-{number}", "metadata": {}}
        if isinstance(part, Block):
            cell |= {"cell_type": "code", "source": part.code, "execution_count": None, "outputs": []}
            if part.options.get("raises"):
                cell["metadata"]["tags"] = ["raises-exception"]
        else:
            cell |= {"cell_type": "markdown", "source": part.strip()}
        if cell["source"]:
            cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"
