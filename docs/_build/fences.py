"""Find the fenced code blocks of a Markdown page, and what is wrong with how they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

OPENING = re.compile(r"^(?P<indent>[ \t>]*)(?P<ticks>`{3,}|~{3,})\s*(?P<language>[^\s`{]*)(?P<rest>[^`]*)$")
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
    shown: bool = False


def parse(lines: list[tuple[int, str]]) -> tuple[list[str | Block], list[tuple[int, str]]]:
    """Cut the numbered lines of a page into text and blocks to execute; return the mistakes too."""
    parts: list[str | Block] = [""]
    mistakes = []
    rest = iter(lines)
    for number, line in rest:
        opening = OPENING.match(line)
        body = list(_body(rest, opening["ticks"])) if opening else []
        if opening:
            options = dict(OPTION.findall(opening["rest"]))
            mistakes += [(number, mistake) for mistake in _mistakes(opening, options)]
            if options.get("exec") == "true":
                indent = opening["indent"]
                code = "\n".join(text.removeprefix(indent) for _, text in body[:-1])
                parts += [Block(number, indent, options, code), ""]
                continue
        parts[-1] += "".join(f"{text}\n" for _, text in [(number, line), *body])
    return parts, mistakes


def _body(rest: Iterator[tuple[int, str]], ticks: str) -> Iterator[tuple[int, str]]:
    """Give the lines of a fence up to and with the one that closes it."""
    closing = re.compile(rf"[ \t>]*{ticks}{ticks[0]}*\s*")
    for number, line in rest:
        yield number, line
        if closing.fullmatch(line):
            return


def _mistakes(opening: re.Match[str], options: dict[str, str]) -> Iterator[str]:
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
