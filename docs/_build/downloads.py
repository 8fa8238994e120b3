"""Offer the code of a page as files, as a script and a notebook, and say with what it was run."""

from __future__ import annotations

import posixpath
import re
from typing import Any
from urllib.parse import quote

from fences import Block
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url
from notebooks import notebook

NAMES = {
    "gradcheck": "gradcheck",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "matplotlib": "Matplotlib",
    "pytest": "pytest",
    "scikit-learn": "scikit-learn",
    "torch": "PyTorch",
    "jax": "JAX",
    "autograd": "autograd",
    "distributed": "Dask",
    "python": "Python",
}
FILE = re.compile(r'^```python title="(\w+\.py)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ +(.*?)(?: *\{.*\})?$", re.MULTILINE)
ISSUES = "https://github.com/gradcheck/gradcheck/issues/new?title="


def on_page_content(content: str, *, page: Any, config: Any, files: Any) -> str:
    """Write the page's files, and put the lines that tell of them at its end."""
    parts = page.meta.get("parts", [])
    stem = page.file.src_uri.removesuffix(".md")
    # `scipy.py` would stand in the way of SciPy. A name with a hyphen is never imported.
    own = posixpath.join(posixpath.dirname(stem), f"gradcheck-{posixpath.basename(stem)}")
    notes = []
    text = "".join(part for part in parts if isinstance(part, str))
    made = [(name, f"{stem}/{name}", code) for name, code in FILE.findall(text)]
    if any(isinstance(part, Block) for part in parts):
        made += [
            ("script (.py)", f"{own}.py", script(parts)),
            ("notebook (.ipynb)", f"{own}.ipynb", notebook(parts, page, files, config.site_url)),
        ]
    links = []
    for label, name, code in made:
        files.append(File.generated(config, name, content=code))
        links.append(f'<a href="{get_relative_url(name, page.url)}" download>{label}</a>')
    if links:
        notes.append("The code of this page: " + " · ".join(links))
    if versions := page.meta.get("versions"):
        ran = [f"{label} {versions[name]}" for name, label in NAMES.items() if name in versions]
        notes.append(f"It was run with {', '.join(ran)}.")
    title = quote(f"{page.title}: ")
    notes.append(f'Something wrong or hard to follow? <a href="{ISSUES}{title}">Tell us</a>.')
    lines = "".join(f"<p>{note}</p>" for note in notes)
    return f'{content}<div class="about" data-search-exclude>{lines}</div>'


def script(parts: list[str | Block]) -> str:
    """Give all code of the page, in order, each block under the heading that it stands under."""
    cells = []
    heading = ""
    for part in parts:
        if isinstance(part, Block):
            cells.append(f"# %% {heading}\n{part.going_on()}\n")
        elif headings := HEADING.findall(part):
            heading = headings[-1]
    return "\n".join(cells)
