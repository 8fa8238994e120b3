"""Find the fenced code blocks of a Markdown page, and what is wrong with how they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENING = re.compile(
    r"(?P<indent>[ \t>]*)(?P<ticks>`{3,}|~{3,})\s*(?P<language>[^\s`{]*)(?P<rest>[^`]*)"
)
OPTION = re.compile(r'\s+([\w-]+)="([^"]*)"')
LOOK = {"title", "hl_lines", "linenums"}
BEHAVIOUR = {"exec", "session", "raises", "html"}


@dataclass
class Block:
    """A Python block to execute. The fields with a default are known once it has run."""

    line: int
    indent: str
    options: dict[str, str]
    code: str
    output: str = ""
    figures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""


def parse(lines: list[tuple[int, str]]) -> tuple[list[str | Block], list[tuple[int, str]]]:
    """Cut the numbered lines of a page into text and blocks to execute; give the mistakes too."""
    parts: list[str | Block] = []
    mistakes: list[tuple[int, str]] = []
    text = ""
    rest = iter(lines)
    for number, line in rest:
        opening = OPENING.fullmatch(line)
        if not opening:
            text += f"{line}\n"
            continue
        body, closed = _body(rest, opening["ticks"])
        options = dict(OPTION.findall(opening["rest"]))
        mistakes += [(number, mistake) for mistake in _mistakes(opening, options)]
        if not closed:
            mistakes.append((number, "the fence is not closed"))
        if options.get("exec") == "true":
            code = "\n".join(line.removeprefix(opening["indent"]) for line in body[:-1])
            parts += [text, Block(number, opening["indent"], options, code)]
            text = ""
        else:
            text += "".join(f"{line}\n" for line in [line, *body])
    return [*parts, text], mistakes


def _body(rest: Iterator[tuple[int, str]], ticks: str) -> tuple[list[str], bool]:
    """Take the lines of a fence, with the one that closes it, if there is one."""
    closing = re.compile(rf"[ \t>]*{ticks}{ticks[0]}*\s*")
    body = []
    for _, line in rest:
        body.append(line)
        if closing.fullmatch(line):
            return body, True
    return body, False


def _mistakes(opening: re.Match[str], options: dict[str, str]) -> Iterator[str]:
    """Say what is wrong with the first line of a fence."""
    unread = OPTION.sub("", opening["rest"]).strip()
    if unread:
        yield f'cannot read `{unread}` in the fence: write language option="value"'
    known = LOOK | BEHAVIOUR if "exec" in options else LOOK
    for option in options.keys() - known:
        yield f"unknown option `{option}` in the fence: known are {', '.join(sorted(known))}"
    if options.get("exec", "true") != "true" or options.get("html", "true") != "true":
        yield '`exec` and `html` know one value: "true"'
    if "exec" in options and opening["language"] != "python":
        yield f"only python is executed, not `{opening['language']}`"
