"""Run the Python blocks of every page when the site is built, and fail on whatever is not right.

A block is a fence that begins with ```` ```python exec="true" ````. Its options: `session="name"`
(blocks of one page with the same session share their names, others start with none),
`raises="ValueError"` (the block shows this error), `html="true"` (what it prints is HTML),
`fold="true"` (the code is folded, below what it shows), `edit="open"` (the reader is to edit it),
`title`, `hl_lines`, `linenums`.

A line `{{ generated: bugs }}` becomes what `generated/bugs.py` prints, which may hold such blocks.
"""

from __future__ import annotations

import html
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import editors
from fences import LOOK, Block, parse
from markdown_exec import MarkdownConverter, code_block, formatters
from markupsafe import Markup
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority, get_plugin_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SWITCHED_ON = os.environ.get("SITE_EXECUTE", "true") != "false"
LIMIT = float(os.environ.get("SITE_BLOCK_SECONDS", "120"))
REPORT = Path(os.environ.get("SITE_REPORT", ROOT / ".cache" / "site-report.json"))
ROW = r".*\S {2,}\S.* {2,}\S.*"  # of a table: its columns stand apart
GENERATED = re.compile(r"\{\{ generated: (\w+) \}\}")

log = get_plugin_logger("execute")
failures: list[str] = []
report: list[dict[str, Any]] = []
current: list[Block] = []  # the blocks of the page that is being rendered


def on_config(config: Any) -> None:
    """Start anew: `mkdocs serve` builds many times in one process."""
    failures.clear()
    report.clear()
    formatters["python"] = show


def on_files(files: Any, *, config: Any) -> None:
    """Add what runs blocks in the page, if it is to be had."""
    editors.prepare(files, config)


@event_priority(100)
def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Run the page's blocks, and put a mark where each is to be shown."""
    name = f"docs/{page.file.src_uri}"
    source = Path(page.file.abs_src_path).read_text(encoding="utf-8-sig")
    first = source.count("\n") - markdown.count("\n") + 1  # below the front matter
    parts, mistakes = parse(list(expand(markdown, first, name)))
    for line, mistake in mistakes:
        fail(name, line, mistake)
    blocks = [part for part in parts if isinstance(part, Block)]
    if SWITCHED_ON and blocks:
        page.meta["versions"] = page.meta.get("versions", {}) | run(name, blocks)
    for number, block in enumerate(blocks):
        if block.failure:
            fail(name, block.line, block.failure)
        elif "edit" in block.options and (obstacle := editors.obstacle(number, blocks)):
            fail(name, block.line, f"cannot be run in the page: {obstacle}")
        report.append(
            task(block) | {"page": name, "output": block.output, "seconds": block.seconds}
        )
    current[:] = blocks
    page.meta["parts"] = parts
    marks = (mark(block, number) for number, block in enumerate(blocks))
    return "".join(next(marks) if isinstance(part, Block) else part for part in parts)


def expand(markdown: str, first: int, name: str) -> Iterator[tuple[int, str]]:
    """Give the numbered lines of the page, and put in what is generated."""
    for number, line in enumerate(markdown.split("\n"), first):
        found = GENERATED.fullmatch(line)
        if not found:
            yield number, line
            continue
        script = HERE / "generated" / f"{found[1]}.py"
        command = [sys.executable, "-W", "error", str(script)]
        made = subprocess.run(command, env=environment(), capture_output=True, text=True)
        if made.returncode or made.stderr:
            fail(name, number, f"docs/_build/generated/{script.name} failed:\n{made.stderr}")
        for generated in made.stdout.split("\n"):
            yield number, generated


def run(name: str, blocks: list[Block]) -> dict[str, str]:
    """Run blocks in one fresh interpreter; return the versions it worked with."""
    with (
        tempfile.TemporaryDirectory() as empty,
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            [sys.executable, "-P", "-W", "error", HERE / "worker.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            encoding="utf-8",
            cwd=empty,
            env=environment(),
            start_new_session=True,
        ) as worker,
    ):
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            json.dump({"page": name, "blocks": [task(block) for block in blocks]}, worker.stdin)
            worker.stdin.close()
            for number, block in enumerate(blocks):
                start = time.monotonic()
                late = threading.Timer(LIMIT, stop, [worker])
                late.start()
                answer = worker.stdout.readline()
                late.cancel()
                if not answer:
                    over = time.monotonic() - start >= LIMIT
                    block.failure = f"ran longer than {LIMIT:g} s" if over else "ended Python"
                    for later in blocks[number + 1 :]:
                        later.failure = (
                            f"did not run: the block in line {block.line} {block.failure}"
                        )
                    return {}
                vars(block).update(json.loads(answer))
            versions = json.loads(worker.stdout.readline())
            blocks[-1].failure = blocks[-1].failure or at_the_end(worker, said)
            return dict(versions)
        finally:
            stop(worker)


def at_the_end(worker: subprocess.Popen[str], said: IO[bytes]) -> str:
    """Wait until all threads have ended; say what is wrong with what happened after the blocks."""
    try:
        worker.wait(LIMIT)
    except subprocess.TimeoutExpired:
        return f"a thread ran on for {LIMIT:g} s after the last block"
    said.seek(0)
    words = said.read().decode("utf-8", "replace")
    return f"wrote after the last block:\n{words}" if words else ""


def task(block: Block) -> dict[str, Any]:
    """Say what is to be run."""
    options = {option: block.options.get(option, "") for option in ("session", "raises")}
    return {"line": block.line, "code": block.code} | options


def stop(worker: subprocess.Popen[str]) -> None:
    """End the worker and whatever it started."""
    if worker.poll() is None:
        if os.name == "posix":
            os.killpg(worker.pid, signal.SIGKILL)
        else:
            worker.kill()


def environment() -> dict[str, str]:
    """Give blocks the package of this checkout, and figures that are drawn for the page."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
        "PYTHONIOENCODING": "utf-8",
        "MPLBACKEND": "module://figures",
        "MATPLOTLIBRC": str(HERE / "matplotlibrc"),
    }


def mark(block: Block, number: int) -> str:
    """Write the fence that `show` is called for, at the block's indentation."""
    lines = [f'````python exec="true" id="{number}"', block.code.partition("\n")[0], "````"]
    return "".join(f"{block.indent}{line}\n" for line in lines)


def show(*, id: str, md: Any, **_options: Any) -> Markup:  # noqa: A002, markdown-exec calls it so
    """Render a block: its code, what it printed, its figures (called by markdown-exec).

    Nothing of it is searched: words are, and the reference. (A `section`, since the search ends
    what it leaves out at the next closing tag of the same name.)
    """
    block = current[int(id)]
    look = {option: value for option, value in block.options.items() if option in LOOK}
    code = MarkdownConverter(md).convert(code_block("python", block.code, **look))
    shown = Markup("")
    if block.output and "html" in block.options:
        shown += Markup(f'<div class="output">{block.output}</div>')
    elif block.output:
        text = wrapped(html.escape(block.output), 1 if "raises" in block.options else 81)
        rows = re.findall(ROW, block.output)
        columns = f' style="--columns: {max(map(len, rows))}"' if rows else ""
        shown += Markup(f'<pre class="output"><samp{columns}>{text}</samp></pre>')
    for count, svg in enumerate(block.figures):
        unique = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>figure-{id}-{count}-", svg)
        shown += Markup(f'<figure class="figure">{unique}</figure>')
    if "fold" in block.options:
        what = "The code of this figure" if block.figures else "The whole program"
        shown += Markup(f"<details><summary>{what}</summary>{code}</details>")
    else:
        shown = code + shown
    about = copied(int(id)) + editors.attributes(int(id), current)
    opening = f'<section class="executed" data-search-exclude data-block="{id}"{about}>'
    return Markup(f"{opening}{shown}</section>")


def copied(number: int) -> str:
    """Let the copy button take a block with the earlier ones of its session, which it needs."""
    block, session = current[number], current[number].options.get("session")
    needed = [
        earlier.going_on()
        for earlier in current[:number]
        if session and earlier.options.get("session") == session
    ]
    if not needed:
        return ""
    parts = ["# From the blocks above:", *needed, "# This block:", block.code]
    code = html.escape("\n\n".join(parts))
    return f' data-copy="{code}"'


def wrapped(text: str, length: int) -> str:
    """Mark the lines of at least this length, and the others that are rows of a table.

    The former are folded where the screen ends, the latter never.
    """
    rest = rf"(?:^(?!.{{{length},}}$){ROW}\n?)+"
    lines = re.compile(rf"(^.{{{length},}}$)|{rest}", re.MULTILINE)
    return lines.sub(lambda m: f'<span class="{"long" if m[1] else "rows"}">{m[0]}</span>', text)


def on_page_content(content: str, *, page: Any, config: Any, files: Any) -> None:
    """Hold that each block is to be seen; load what runs it in the page."""
    if " data-run=" in content:
        page.meta.setdefault("scripts", []).insert(0, "assets/js/run.js")
    name = f"docs/{page.file.src_uri}"
    seen = re.sub(r"<!--.*?-->|<(pre|code)\b.*?</\1>", "", content, flags=re.DOTALL)
    for number, block in enumerate(current):
        if f'data-block="{number}"' not in seen:
            fail(name, block.line, "the block is not on the page: is it inside something else?")


@event_priority(-100)
def on_env(env: Any, *, config: Any, files: Any) -> None:
    """Fail, once every page has run, with all that went wrong."""
    if failures:
        raise PluginError(f"{len(failures)} failures\n\n" + "\n\n".join(failures))


def on_post_build(*, config: Any) -> None:
    """Write down what ran: the tests compare with it."""
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1), encoding="utf-8")
    log.info("%d blocks ran in %.1f s", len(report), sum(block["seconds"] for block in report))


def fail(page: str, line: int, message: str) -> None:
    """Note a failure; the build goes on, to find the others."""
    failures.append(f"{page}:{line}: {message.strip()}")
