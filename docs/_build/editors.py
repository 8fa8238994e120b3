"""Let readers edit and run blocks in the page, if `pyodide.py` has fetched what that takes.

A block can be run there if it draws nothing, prints no HTML, and imports only NumPy, gradcheck and
the standard library. `assets/js/run.js` gives it its buttons.
"""

from __future__ import annotations

import ast
import html
import io
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File
from pyodide import HASHES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fences import Block

HERE = Path(__file__).parent
FOLDER = "assets/pyodide"
# A page has no other programs and no threads.
AT_HAND = (sys.stdlib_module_names | {"numpy", "gradcheck"}) - {
    "concurrent",
    "multiprocessing",
    "socket",
    "subprocess",
    "threading",
}

switched_on = False


def prepare(files: Any, config: Any) -> None:
    """Add gradcheck to the fetched files, or leave all of them out."""
    global switched_on
    fetched = [file for file in files if file.src_uri.startswith(FOLDER)]
    # From disk, browsers start no Python: such a site has no directories for addresses.
    switched_on = len(fetched) == len(HASHES) and config.use_directory_urls
    if switched_on:
        files.append(File.generated(config, f"{FOLDER}/gradcheck.zip", content=packed()))
    else:
        for file in fetched:
            files.remove(file)


def packed() -> bytes:
    """Pack gradcheck as it is here, with what runs it in the page; the same each time."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packing:
        for package in (HERE.parents[1] / "gradcheck", HERE / "in_page"):
            for file in sorted(package.rglob("*.*")):
                name = file.relative_to(package.parent).as_posix()
                if "__pycache__" not in name:
                    packing.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def attributes(number: int, blocks: list[Block]) -> str:
    """Tell the script of the page how to run this block."""
    if not switched_on:
        return ""
    options = blocks[number].options
    told = {option: value for option, value in options.items() if option in {"session", "raises"}}
    if not obstacle(number, blocks):
        told["run"] = options.get("edit", "")
    return "".join(f' data-{name}="{html.escape(value)}"' for name, value in told.items())


def obstacle(number: int, blocks: list[Block]) -> str:
    """Say why the block cannot be run in the page, if so."""
    block, session = blocks[number], blocks[number].options.get("session")
    if block.figures or "html" in block.options:
        return "it shows more than text"
    before = {
        name
        for earlier in blocks[:number]
        if session and earlier.options.get("session") == session
        for name in imports(earlier.code)
    }
    # Earlier blocks may draw: in_page/figures.py stands in for matplotlib.
    missing = ({*imports(block.code)} | before - {"matplotlib"}) - AT_HAND
    return f"it needs {', '.join(sorted(missing))}" if missing else ""


def imports(code: str) -> Iterator[str]:
    """Give the packages that the code imports."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]
