"""Offer the pages as plain Markdown, and list them in `llms.txt` (https://llmstxt.org)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fences import Block
from notebooks import DATA

pages: dict[str, str] = {}


def on_nav(nav: Any, *, config: Any, files: Any) -> None:
    """Remember the order of the pages; their titles are known only later."""
    pages.clear()
    config.extra["nav"] = nav


def on_page_content(content: str, *, page: Any, config: Any, files: Any) -> None:
    """Keep the page as Markdown, with what its code printed."""
    parts = page.meta.get("parts", [])
    texts = [plain(part) if isinstance(part, Block) else DATA.sub("", part) for part in parts]
    pages[page.file.src_uri] = "".join(texts)


def plain(block: Block) -> str:
    """Give a block and its output as two fences."""
    output = f"\n```text\n{block.output}```\n" if block.output else ""
    text = f"```python\n{block.code}\n```\n{output}"
    return "".join(f"{block.indent}{line}\n" if line else "\n" for line in text.split("\n"))


def on_post_build(*, config: Any) -> None:
    """Write the pages beside their HTML, and the list."""
    site = Path(config.site_dir)
    lines = [f"# {config.site_name}", "", f"> {config.site_description}"]
    for uri, text in pages.items():
        (site / uri).parent.mkdir(parents=True, exist_ok=True)
        (site / uri).write_text(text, encoding="utf-8")
    for item in config.extra["nav"].items:
        if item.is_section:
            lines += ["", f"## {item.title}", ""]
        for page in item.children if item.is_section else [item]:
            about = page.meta.get("description", "")
            link = f"[{page.title}]({config.site_url}{page.file.src_uri})"
            lines.append(f"- {link}: {about}" if about else f"- {link}")
    (site / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
