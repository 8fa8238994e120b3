"""Keep the contents beside a long page short: `toc_depth: 2` at its top cuts what is below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def on_page_content(content: str, *, page: Any, config: Any, files: Any) -> None:
    """Cut the contents at the depth that the page asks for."""
    if "toc_depth" in page.meta:
        cut(page.toc, page.meta["toc_depth"])


def cut(links: Iterable[Any], depth: int) -> None:
    """Leave out what stands below this level of headings."""
    for link in links:
        if link.level >= depth:
            link.children = []
        cut(link.children, depth)
