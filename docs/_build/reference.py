"""Mend what mkdocstrings makes of parameters: types that are words, and dashes before nothing."""

from __future__ import annotations

import re
from typing import Any

DASH = re.compile(r'\u2013\s*<div class="doc-md-description">\s*</div>')
TYPE = re.compile(r"(?<=\()<code>([^<]*`[^<]*)</code>(?=[,)])")


def on_page_content(content: str, *, page: Any, config: Any, files: Any) -> str:
    """Drop dashes that nothing follows, and turn backticks left in types into code."""
    content = DASH.sub("", content)
    return TYPE.sub(lambda words: re.sub(r"`([^`]*)`", r"<code>\1</code>", words[1]), content)
