"""`mkdocs serve` follows a change of a page, and of a module of the package."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from conftest import mkdocs, small_site

if TYPE_CHECKING:
    from pathlib import Path

PAGE = """
# Page

```python exec="true"
from gradcheck.number import NUMBER

print("the number is", NUMBER)
```
"""


def wait_for(address: str, text: str) -> None:
    """Ask for the page until it shows the text."""
    seen = ""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                seen = answer.read().decode()
        except (urllib.error.URLError, ConnectionError):
            pass
        if text in seen:
            return
        time.sleep(0.2)
    raise AssertionError(f"no {text!r} in the page after a minute:\n{seen}")


def test_changes_are_shown(tmp_path: Path) -> None:
    small_site(tmp_path)
    (tmp_path / "docs" / "index.md").write_text(PAGE)
    module = tmp_path / "gradcheck" / "number.py"
    module.write_text("NUMBER = 1111\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/gradcheck/"
    with mkdocs(tmp_path, "serve", "--dev-addr", f"127.0.0.1:{port}") as server:
        try:
            wait_for(address, "the number is 1111")
            module.write_text("NUMBER = 22222\n")
            wait_for(address, "the number is 22222")
            (tmp_path / "docs" / "index.md").write_text(PAGE.replace("number is", "value is"))
            wait_for(address, "the value is 22222")
        finally:
            server.terminate()
