"""Leave out the theme's source maps: nobody here debugs it, and they are large."""

from __future__ import annotations

import re
from typing import Any

MENTION = re.compile(r"//# sourceMappingURL=.*")


def on_files(files: Any, *, config: Any) -> None:
    """Drop the maps, and the lines that name them."""
    for file in list(files):
        if file.src_uri.endswith(".map"):
            files.remove(file)
        elif file.src_uri.endswith(".min.js"):
            file.content_string = MENTION.sub("", file.content_string)
