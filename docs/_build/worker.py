"""Run the blocks of one page in this interpreter, which is fresh, and tell what each did.

Standard input: {"page": ..., "blocks": [{"line", "code", "session", "raises"}, ...]}, as JSON.
Standard output: one line of JSON for each block, then one with the versions of what was imported.
Standard error: a file. What stands in it at the end was written after the last block.
A process for each page leaves nothing behind, and catches what is printed, by whomever.
"""

from __future__ import annotations

import json
import linecache
import os
import platform
import sys
import tempfile
import time
import traceback
from types import ModuleType
from typing import IO

PACKAGES = ("gradcheck", "numpy", "scipy", "matplotlib", "pytest")


def main() -> None:
    """Read the page, run its blocks in order, answer after each."""
    page = json.load(sys.stdin)
    sessions: dict[str, ModuleType] = {}
    with (
        os.fdopen(os.dup(1), "w", encoding="utf-8") as answers,
        tempfile.TemporaryFile() as out,
        open(2, "r+b", closefd=False) as err,
    ):
        if any("matplotlib" in block["code"] for block in page["blocks"]):
            # On a new machine this makes a list of fonts, and says so on standard error.
            import matplotlib.font_manager  # noqa: F401

            taken(err, sys.stderr)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out.fileno(), 1)
        for block in page["blocks"]:
            module = ModuleType("__main__")
            if block["session"]:
                module = sessions.setdefault(block["session"], module)
            start = time.perf_counter()
            expected, failure = run(block, module, page["page"])
            seconds = time.perf_counter() - start
            figures, mistake = shown_figures()
            said = taken(err, sys.stderr)
            if said:
                said = f"wrote to standard error:\n{said}"
            answer = {
                "output": taken(out, sys.stdout) + expected,
                "figures": figures,
                "seconds": seconds,
                "failure": failure or said or mistake,
            }
            print(json.dumps(answer), file=answers, flush=True)
        os.dup2(2, 1)
        versions = {name: sys.modules[name].__version__ for name in PACKAGES if name in sys.modules}
        print(
            json.dumps(versions | {"python": platform.python_version()}), file=answers, flush=True
        )


def run(block: dict[str, str], module: ModuleType, page: str) -> tuple[str, str]:
    """Run one block; return the error that it was to show, and what went wrong."""
    sys.modules["__main__"] = module
    # The block stands on the lines that it has in the page: so a traceback names page and line.
    source = "\n" * int(block["line"]) + block["code"] + "\n"
    linecache.cache[page] = (len(source), None, source.splitlines(keepends=True), page)
    try:
        exec(compile(source, page, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:  # SystemExit too: a page does not end the build
        if type(error).__name__ == block["raises"]:
            return "".join(traceback.format_exception_only(error)), ""
        frames = error.__traceback__ and error.__traceback__.tb_next
        return "", "".join(traceback.format_exception(type(error), error, frames))
    return "", f"was to raise {block['raises']}, and did not" if block["raises"] else ""


def shown_figures() -> tuple[list[str], str]:
    """Give the figures that the block showed, as SVG, if it drew at all."""
    if "matplotlib.pyplot" not in sys.modules:
        return [], ""
    import figures

    return figures.take()


def taken(file: IO[bytes], stream: IO[str]) -> str:
    """Give what was written to the file since last time."""
    stream.flush()
    file.seek(0)
    text = file.read().decode("utf-8", "replace")
    file.seek(0)
    file.truncate()
    return text


if __name__ == "__main__":
    main()
