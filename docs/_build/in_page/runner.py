"""Run what a reader wrote, in the page: packed with gradcheck for the worker in the browser.

What is printed is handed on while the code runs, up to a limit. An error shows the reader's own
frames.
"""

from __future__ import annotations

import io
import json
import linecache
import sys
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout
from types import ModuleType
from typing import TYPE_CHECKING, Any

from in_page.figures import Finder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 100_000  # characters of output
CUT = f"\n[Stopped: this is more than {LIMIT:,} characters.]\n"
MISSING = "\nHere are only NumPy and gradcheck. The script at the end of this page has the rest.\n"
PAUSE = 0.05  # seconds between two messages to the page

sys.meta_path.append(Finder())

# By session: its names, and the code that made them.
sessions: dict[str, tuple[ModuleType, list[str]]] = {}


class TooLong(BaseException):
    """There is more output than anybody reads."""


class Output(io.TextIOBase):
    """What is printed, handed on now and then."""

    def __init__(self, post: Callable[[str, str], object]) -> None:
        self.post, self.waiting, self.length, self.last = post, "", 0, time.monotonic()

    def write(self, text: str) -> int:
        """Take text; too much of it ends the code."""
        self.waiting += text[: max(0, LIMIT - self.length)]
        self.length += len(text)
        if time.monotonic() - self.last > PAUSE:
            self.flush()
        if self.length > LIMIT:
            raise TooLong
        return len(text)

    def flush(self) -> None:
        """Hand on what waits."""
        if self.waiting:
            self.post("text", self.waiting)
        self.waiting, self.last = "", time.monotonic()

    def print(self, *values: object, **options: Any) -> None:
        """Print; one value that has a look of its own in notebooks is shown like that."""
        look = getattr(values[0], "_repr_html_", None) if len(values) == 1 else None
        if look is None or options:
            print(*values, **options)
        else:
            self.flush()
            self.post("html", look())


def run(task: str, post: Callable[[str, str], object]) -> str:
    """Run the last of the task's blocks, after those that it builds on; say how that ended.

    The blocks of a session that ran just before, in this order, are not run again.
    """
    given = json.loads(task)
    session, notebook = given["session"], given["notebook"]
    *earlier, block = given["blocks"]
    codes = [before["code"] for before in earlier]
    module, ran = sessions.pop(session, (ModuleType("__main__"), [""]))
    if ran != codes:
        module = ModuleType("__main__")
        for before in earlier:
            failure = execute(before, module, Output(lambda *_: None))
            if failure:
                post("text", f"Block {before['number']}, which this one builds on:\n{failure}")
                return "error"
    output = Output(post)
    if notebook:
        vars(module)["print"] = output.print
    failure = execute(block, module, output)
    output.flush()
    if failure:
        post("text", failure)
        return "cut" if failure is CUT else "error"
    sessions[session] = module, [*codes, block["code"]]
    return "done"


def execute(block: dict[str, Any], module: ModuleType, output: Output) -> str:
    """Run one block; give what went wrong."""
    sys.modules["__main__"] = module
    name, code = f"block {block['number']}", block["code"] + "\n"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    sys.stdin = io.StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(output):
            exec(compile(code, name, "exec", dont_inherit=True), vars(module))
    except TooLong:
        return CUT
    except BaseException as error:  # SystemExit too: code does not end the page's Python
        if type(error).__name__ == block["raises"]:
            output.post("text", output.waiting + "".join(traceback.format_exception_only(error)))
            output.waiting = ""
            return ""
        return told(error)
    return f"This was to raise {block['raises']}, and did not.\n" if block["raises"] else ""


def told(error: BaseException) -> str:
    """Write the error and the frames of the reader that led to it."""
    missing = isinstance(error, ModuleNotFoundError)
    if isinstance(error, ModuleNotFoundError):
        error.msg = f"No module named {error.name!r}"
    whole = traceback.TracebackException.from_exception(error)
    for part in chain(whole):
        own = [frame for frame in part.stack if frame.filename.startswith("block ")]
        part.stack = traceback.StackSummary.from_list(own)
    return "".join(whole.format()) + MISSING * missing


def chain(error: traceback.TracebackException | None) -> Iterator[traceback.TracebackException]:
    """Give the error and what it came from."""
    if error:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)
