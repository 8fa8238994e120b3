"""The site as a reader has it: in a browser, on a wide screen and a phone, in light and dark."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import axe_playwright_python
import pytest
from conftest import PAGES, Site, finished, mkdocs, small_site
from playwright.sync_api import Browser, Page, expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.xdist_group("browser")  # each page is visited once
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDTHS = (1280, 390)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
ADDRESSES = [re.sub(r"(index)?\.md$|$", "/", page, count=1).lstrip("/") for page in PAGES]
LOST = "not/here"


@dataclass
class Visit:
    """What was noticed on one page."""

    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    too_wide: list[str] = field(default_factory=list)
    too_small: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def listen(page: Page, visit: Visit, host: str) -> None:
    """Note each request to another host, and each error in the console."""

    def request(url: str) -> None:
        if urlsplit(url).scheme in {"http", "https", "ws", "wss"} and urlsplit(url).netloc != host:
            visit.elsewhere.append(url)

    page.on("request", lambda asked: request(asked.url))
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on(
        "console",
        lambda said: visit.errors.append(said.text) if said.type in {"error", "warning"} else None,
    )


# The text of figures as it is seen, in pixels; of a power, its base.
SMALL_TEXT = """
[...document.querySelectorAll(".figure svg")].flatMap(svg => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width
  return [...svg.querySelectorAll("text")].map(text => {
    const parts = text.querySelector("tspan") ? [...text.querySelectorAll("tspan")] : [text]
    const sizes = parts.map(part => parseFloat(getComputedStyle(part).fontSize))
    return [text.textContent, scale * Math.max(...sizes)]
  })
}).filter(([text, size]) => size < 11).map(([text, size]) => `${text}: ${size} px`)
"""


# What is printed, and examples in the reference, where they end beyond their box.
CUT = """
[...document.querySelectorAll("pre.output, .doc-object pre > code, div.formula")]
  .filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.innerText.slice(0, 200))
"""


# What is folded is read too: answers, tables, the code of figures.
UNFOLD = "document.querySelectorAll('.md-content details').forEach(fold => fold.open = true)"


# Of letters alone or in a drawing, axe cannot tell the contrast: they are in the page's ink. The
# colours of code are the same on a phone, and take axe most of its time.
EXAMINE = """
rules => {
  const options = { runOnly: rules, resultTypes: ["violations", "incomplete"] }
  const exclude = ["svg *", "math *", ...(innerWidth < 600 ? ["pre span"] : [])]
  const run = () => axe.run({ exclude }, options)
  window.examined = new Promise(done => setTimeout(() => done(run())))
}
"""


def examine(*pages: Page) -> list[str]:
    """Run axe on pages side by side, and say what it objects to."""
    for page in pages:
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE)
            # Nor of text over a gradient, such as the shadows of what scrolls.
            page.add_style_tag(content="* { background-image: none !important }")
        page.evaluate(EXAMINE, RULES)
    results = [page.evaluate("examined") for page in pages]
    # What it cannot judge: where one thing lies over another, as the copy button does on a phone.
    for result in results:
        assert sum(len(finding["nodes"]) for finding in result["incomplete"]) <= 20
    return [
        f"{finding['id']}: {node['html'][:200]} {node['failureSummary']}"
        for result in results
        for finding in result["violations"]
        for node in finding["nodes"]
    ]


@pytest.fixture(scope="module")
def visits(browser: Browser, address: str) -> Iterator[Callable[[str], Visit]]:
    """Look at a page on each screen, once for all tests."""
    with browser.new_context() as context:

        @cache
        def look(where: str) -> Visit:
            visit = Visit()
            with context.new_page() as wide, context.new_page() as narrow:
                pages = dict(zip(WIDTHS, (wide, narrow), strict=True))
                for width, page in pages.items():
                    listen(page, visit, urlsplit(address).netloc)
                    page.set_viewport_size({"width": width, "height": 900})
                    page.goto(address + where, wait_until="commit")
                for width, page in pages.items():
                    page.wait_for_load_state("networkidle")
                    page.evaluate(UNFOLD)
                    measured = page.evaluate("document.documentElement.scrollWidth")
                    if measured > width:
                        visit.too_wide.append(f"{measured} > {width}")
                    visit.too_small += page.evaluate(SMALL_TEXT)
                visit.cut += wide.evaluate(CUT)
                for scheme in SCHEMES:
                    for page in pages.values():
                        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                        shown = {"light": "default", "dark": "slate"}[scheme]
                        expect(page.locator(f"body[data-md-color-scheme={shown}]")).to_be_visible()
                    visit.violations += examine(wide, narrow)
            return visit

        yield look


@pytest.mark.parametrize("where", [*ADDRESSES, LOST])
def test_no_other_host_is_asked(visits: Callable[[str], Visit], where: str) -> None:
    assert visits(where).elsewhere == []


@pytest.mark.parametrize("where", [*ADDRESSES, LOST])
def test_console_holds_no_error(visits: Callable[[str], Visit], where: str) -> None:
    told = "the server responded with a status of 404" if where == LOST else None
    assert [error for error in visits(where).errors if not told or told not in error] == []


@pytest.mark.parametrize("where", [*ADDRESSES, LOST])
def test_page_is_no_wider_than_the_screen(visits: Callable[[str], Visit], where: str) -> None:
    assert visits(where).too_wide == []


@pytest.mark.parametrize("where", [*ADDRESSES, LOST])
def test_page_is_accessible(visits: Callable[[str], Visit], where: str) -> None:
    assert visits(where).violations == []


@pytest.mark.parametrize("where", ADDRESSES)
def test_text_in_figures_is_large_enough(visits: Callable[[str], Visit], where: str) -> None:
    assert visits(where).too_small == []


@pytest.mark.parametrize("where", ADDRESSES)
def test_nothing_printed_is_cut_on_a_wide_screen(
    visits: Callable[[str], Visit], where: str
) -> None:
    assert visits(where).cut == []


@pytest.mark.parametrize("where", ["", "playground/", "do/your-back-pass/", "learn/nine-steps/"])
def test_on_a_phone_the_last_column_of_a_report_is_seen(
    browser: Browser, address: str, where: str
) -> None:
    with browser.new_page(viewport={"width": WIDTHS[1], "height": 900}) as page:
        page.goto(address + where)
        tables = page.locator(".rows:visible", has_text="verdict").all()
        assert tables
        for table in tables:
            assert table.evaluate("table => table.scrollWidth <= table.clientWidth")


def search(page: Page, words: str) -> list[str]:
    """Type into the search and give the addresses of what it finds."""
    page.keyboard.press("/")
    page.keyboard.type(words)
    results = page.locator(".md-search-result__link")
    expect(results.first).to_be_visible(timeout=15000)
    page.wait_for_timeout(500)  # each letter searches anew
    found: list[str] = results.evaluate_all("links => links.map(a => a.getAttribute('href'))")
    return found


SEARCHED = {
    "check_gradient": "reference/",
    "contributing": "contributing/",
    "backpropagation": "understand/bugs/",
    "gradient checking": "",
    "regularization": "do/check-failed/",
    "theta": "do/course-code/",
    "convolution": "do/course-code/",
    "pooling": "do/course-code/",
    "autoencoder": "do/check-failed/",
    "vector-valued": "do/scipy/",
    "value_and_grad": "do/frameworks/",
}


@pytest.mark.parametrize("words", SEARCHED)
def test_search_finds(browser: Browser, address: str, words: str) -> None:
    with browser.new_page() as page:
        page.goto(address, wait_until="networkidle")
        found = [re.sub(r"[?#].*", "", result) for result in search(page, words)]
        assert address + SEARCHED[words] in found


def test_search_dialog_is_accessible(browser: Browser, address: str) -> None:
    with browser.new_page() as page:
        page.goto(address, wait_until="networkidle")
        search(page, "gradient")
        assert examine(page) == []


def test_first_page_is_light(browser: Browser, address: str) -> None:
    """All that the first page loads, search index included, in 150 KiB on the wire."""
    with browser.new_page() as page:
        sizes: list[float] = []
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on(
            "Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"])
        )
        page.goto(address, wait_until="networkidle")
        assert len(sizes) > 5
        assert sum(sizes) <= 150 * 1024


def test_page_is_whole_without_javascript(browser: Browser, site: Site, address: str) -> None:
    with browser.new_context(java_script_enabled=False) as context, context.new_page() as page:
        page.goto(address + "contributing/")
        shown = page.locator(".executed .output").all_inner_texts()
        printed = [block["output"] for block in site.blocks("contributing.md") if block["output"]]
        assert [text.strip() for text in shown] == [text.strip() for text in printed]
        expect(page.locator("math").first).to_be_visible()
        expect(page.locator(".figure svg").first).to_be_visible()


def test_copy_takes_code_alone(browser: Browser, site: Site, address: str) -> None:
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(address + "do/your-back-pass/", wait_until="networkidle")

        def copied(kind: str) -> Any:
            page.locator(f"{kind} button[data-md-type=copy]").first.click()
            return page.evaluate("navigator.clipboard.readText()")

        blocks = site.blocks("do/your-back-pass.md")
        assert copied(".executed") == blocks[0]["code"]
        later = page.locator("[data-copy]:visible").first.get_attribute("data-block")
        *earlier, block = blocks[: int(str(later)) + 1]
        needed = [one["code"] for one in earlier if one["session"] == block["session"]]
        both = ["# From the blocks above:", *needed, "# This block:", block["code"]]
        assert copied("[data-copy]:visible") == "\n\n".join(both)
        page.goto(address + "contributing/", wait_until="networkidle")
        assert copied(".language-console").startswith("git clone")
        assert page.locator(".executed .output button").count() == 0


def test_what_a_file_prints_looks_like_output(browser: Browser, address: str) -> None:
    with browser.new_page() as page:
        page.goto(address + "do/frameworks/", wait_until="networkidle")
        printed = page.locator(".highlight:has(> .filename) + .language-text")
        assert printed.count() > 2
        expect(printed.first.locator("button[data-md-type=copy]")).to_be_hidden()
        expect(printed.first.locator("code")).to_have_css("border-left-style", "solid")


def test_figures_follow_the_colours_of_the_page(browser: Browser, address: str) -> None:
    inks = set()
    for scheme in ("light", "dark"):
        with browser.new_context(color_scheme=scheme) as context, context.new_page() as page:
            page.goto(address + "contributing/", wait_until="networkidle")
            colours = "getComputedStyle(document.querySelector('.figure svg text')).fill"
            inks.add(page.evaluate(colours))
    assert len(inks) == 2


def test_paper_is_white_whatever_the_screen(browser: Browser, address: str) -> None:
    with browser.new_page(color_scheme="dark") as page:
        page.goto(address, wait_until="networkidle")
        page.emulate_media(media="print")
        output = page.locator(".output").first
        expect(output).to_have_css("background-color", "rgb(255, 255, 255)")


def test_copy_on_disk_works_with_search(browser: Browser, tmp_path: Path) -> None:
    small_site(tmp_path, "changelog.md", "contributing.md")
    finished(mkdocs(tmp_path, "build", "--strict", OFFLINE="true", SITE_EXECUTE="false"))
    with browser.new_page(viewport={"width": 1280, "height": 900}) as page:
        visit = Visit()
        listen(page, visit, "")
        page.goto((tmp_path / "site" / "changelog.html").as_uri(), wait_until="networkidle")
        found = search(page, "contributing")
        assert any(result.startswith("file:") and "contributing.html" in result for result in found)
        page.goto(found[0])
        expect(page.locator("h1").first).to_be_visible()
        assert visit.elsewhere == []
        assert visit.errors == []
