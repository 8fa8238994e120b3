"""Mend what mkdocstrings makes: types that are words, dashes before nothing, signatures."""

from __future__ import annotations

import re
from typing import Any

DASH = re.compile(r'\u2013\s*<div class="doc-md-description">\s*</div>')
SIGNATURE = '<div class="language-python doc-signature highlight"'
TYPE = re.compile(r"(?<=\()<code>([^<]*`[^<]*)</code>(?=[,)])")


def on_page_content(content: str, *, page: Any, config: Any, files: Any) -> str:
    """Drop dashes that nothing follows, and turn backticks left in types into code.

    A signature is not searched: its names stand in the list of parameters again.
    """
    content = DASH.sub("", content).replace(SIGNATURE, f"{SIGNATURE} data-search-exclude")
    return TYPE.sub(lambda words: re.sub(r"`([^`]*)`", r"<code>\1</code>", words[1]), content)
