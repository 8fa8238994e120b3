"""Mend types in the reference that are words: names in them are code, the rest is text."""

from __future__ import annotations

import re
from typing import Any

TYPE = re.compile(r"(?<=\()<code>([^<]*`[^<]*)</code>(?=[,)])")


def on_page_content(content: str, *, page: Any, config: Any, files: Any) -> str:
    """Turn the backticks of docstrings, which mkdocstrings leaves in types, into code."""
    return TYPE.sub(lambda words: re.sub(r"`([^`]*)`", r"<code>\1</code>", words[1]), content)
