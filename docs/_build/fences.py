"""Find the fenced code blocks of a Markdown page, and what is wrong with how they are written."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENING = re.compile(
    r"(?P<indent>[ \t>]*)(?P<ticks>`{3,}|~{3,})\s*(?P<language>[^\s`{]*)(?P<rest>[^`]*)"
)
INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)")
OPTION = re.compile(r'\s+([\w-]+)="([^"]*)"')
LOOK = {"title", "hl_lines", "linenums"}
BEHAVIOUR = {"exec", "session", "raises", "html", "fold", "edit"}


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

    def going_on(self) -> str:
        """Give the code such that an error which it shows does not end what follows."""
        error = self.options.get("raises")
        if not error:
            return self.code
        code = textwrap.indent(self.code, "    ")
        shown = 'print(f"{type(error).__name__}: {error}")'
        return f"try:\n{code}\nexcept {error} as error:\n    {shown}"


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
            mistakes += [(number, mistake) for mistake in _not_recognised(line)]
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


def _not_recognised(line: str) -> Iterator[str]:
    """Say what stands in a line of text as if it were to be run, and would be shown as it is."""
    line = INLINE_CODE.sub("", line)
    if "exec=" in line:
        yield f"`exec=` stands in text, not in the first line of a fence: {line.strip()}"
    if "{{" in line:
        yield f"cannot read `{line.strip()}`: write {{{{ generated: name }}}}, alone on a line"


def _mistakes(opening: re.Match[str], options: dict[str, str]) -> Iterator[str]:
    """Say what is wrong with the first line of a fence."""
    if "=" in opening["language"]:
        yield f"the fence has no language: write ```python {opening['language']}"
    unread = OPTION.sub("", opening["rest"]).strip()
    if unread:
        yield f'cannot read `{unread}` in the fence: write language option="value"'
    known = LOOK | BEHAVIOUR if "exec" in options else LOOK
    for option in options.keys() - known:
        yield f"unknown option `{option}` in the fence: known are {', '.join(sorted(known))}"
    if {options.get(switch, "true") for switch in ("exec", "html", "fold")} != {"true"}:
        yield '`exec`, `html` and `fold` know one value: "true"'
    if options.get("edit", "open") != "open":
        yield '`edit` knows one value: "open"'
    if "exec" in options and opening["language"] != "python":
        yield f"only python is executed, not `{opening['language']}`"
