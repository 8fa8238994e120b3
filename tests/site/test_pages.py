"""What a page shows is what its code prints, alone, anywhere; and every link leads somewhere."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit
from xml.etree import ElementTree

import pytest
from conftest import PAGES, ROOT, Site, finished, mkdocs, small_site

import gradcheck

if TYPE_CHECKING:
    from pathlib import Path

SITE_URL = "https://gradcheck.github.io/gradcheck/"
RUNS = re.compile(r'^ *```python exec="true"|^\{\{ generated: ', re.MULTILINE)
EXECUTED = [page for page in PAGES if RUNS.search((ROOT / "docs" / page).read_text())]


def run(code: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Run code as a reader would: in a new interpreter, from a file of their own."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(code)
    # The package as it is installed; figures are drawn and shown to nobody.
    variables = os.environ | {"MPLBACKEND": "template", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", file.name]
    return subprocess.run(
        command, cwd=file.parent, env=variables, capture_output=True, text=True, timeout=300
    )


def html_of(site: Site, page: str) -> Path:
    """Give the file that a page became."""
    file = (site.path / page).with_suffix(".html")
    return file if file.name == "index.html" else file.with_suffix("") / "index.html"


def offered(site: Site, page: str, kind: str) -> Path:
    """Give the file that a page offers."""
    html = html_of(site, page)
    link = re.search(rf'href="([^"]*)" download>{kind}', html.read_text())
    assert link is not None
    return (html.parent / link[1]).resolve()


def test_blocks_were_found(site: Site) -> None:
    """A test that finds no block must not pass."""
    assert EXECUTED
    assert {block["page"] for block in site.report} >= {f"docs/{page}" for page in EXECUTED}


@pytest.mark.parametrize("page", EXECUTED)
def test_script_prints_what_the_page_shows(site: Site, page: str, tmp_path: Path) -> None:
    script = offered(site, page, "script")
    ran = run(script.read_text(), tmp_path / script.name)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "".join(block["output"] for block in site.blocks(page))


@pytest.mark.parametrize("page", EXECUTED)
def test_what_is_copied_prints_what_the_page_shows(site: Site, page: str, tmp_path: Path) -> None:
    """Each block alone; of each session, the last, with the earlier ones that its button adds."""
    html = html_of(site, page).read_text()
    copies = dict(re.findall(r'data-block="(\d+)" data-copy="([^"]*)"', html))
    alone: dict[str, dict[str, Any]] = {}
    for number, block in enumerate(site.blocks(page)):
        name = block["session"] or str(number)
        code = unescape(copies.get(str(number), block["code"]))
        assert code.endswith(block["code"])
        earlier = alone[name]["output"] if name in alone else ""
        alone[name] = block | {"code": code, "output": earlier + block["output"]}

    def check(name: str, block: dict[str, Any]) -> str:
        ran = run(block["code"], tmp_path / name / "copied.py")
        printed = ran.stdout
        if block["raises"]:
            # An error from a package is named in full: `gradcheck.SomeError: ...`.
            assert ran.returncode == 1
            printed += ran.stderr[ran.stderr.index(f"{block['raises']}: ") :]
        else:
            assert ran.returncode == 0, ran.stderr
        return f"docs/{page}:{block['line']}\n{printed}"

    with ThreadPoolExecutor(2) as threads:
        printed = list(threads.map(check, alone, alone.values()))
    assert printed == [
        f"docs/{page}:{block['line']}\n{block['output']}" for block in alone.values()
    ]


@pytest.mark.parametrize("page", EXECUTED)
def test_notebook_holds_the_code_of_the_page_and_what_it_showed(site: Site, page: str) -> None:
    notebook = json.loads(offered(site, page, "notebook").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    first, *cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert first["source"].startswith("%pip install -q git+https://github.com/gradcheck/gradcheck")
    blocks = site.blocks(page)
    assert [cell["source"] for cell in cells] == [block["code"] for block in blocks]
    for cell, block in zip(cells, blocks, strict=True):
        kinds = [shown["output_type"] for shown in cell["outputs"]]
        assert ("error" in kinds) == bool(block["raises"])
        assert kinds.count("display_data") >= block["code"].count("plt.show()")
        assert "".join(words(shown) for shown in cell["outputs"]) == block["output"]


def words(shown: dict[str, Any]) -> str:
    """Give the text of what a cell of a notebook shows."""
    if shown["output_type"] == "error":
        return f"{shown['ename']}: {shown['evalue']}\n"
    text = shown.get("text") or shown["data"].get("text/html", "")
    return str(text)


def test_notebook_installs_what_it_imports(site: Site) -> None:
    notebook = json.loads(offered(site, "do/scipy.md", "notebook").read_text())
    assert notebook["cells"][0]["source"].endswith("/gradcheck scipy")


@pytest.mark.parametrize("page", EXECUTED)
def test_figures_of_a_notebook_need_no_site(site: Site, page: str) -> None:
    cells = json.loads(offered(site, page, "notebook").read_text())["cells"]
    for shown in (shown for cell in cells for shown in cell.get("outputs", [])):
        if svg := shown.get("data", {}).get("image/svg+xml"):
            assert "currentColor" not in svg
            assert "var(" not in svg
            assert ElementTree.fromstring(svg).get("width")


@pytest.mark.parametrize("page", EXECUTED)
def test_text_of_a_notebook_needs_no_site(site: Site, page: str, parsed: dict[str, Page]) -> None:
    cells = json.loads(offered(site, page, "notebook").read_text())["cells"]
    text = "\n".join(cell["source"] for cell in cells if cell["cell_type"] == "markdown")
    text = re.sub(r"^( *)```.*?^\1```$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"\{ ?[#.:][^}]*\}$| markdown\b[^<]*>|<svg|var\(--", text, re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]*)", text):
        address, _, anchor = link.partition("#")
        assert urlsplit(address).netloc, link
        if address.startswith(SITE_URL):
            assert address in parsed, link
            assert not anchor or anchor in parsed[address].anchors, link


def test_two_builds_are_the_same(tmp_path: Path) -> None:
    """Two builds at the same time, with different hashes of strings.

    All that is generated but the page on trust, whose suite takes long.
    """
    pages = (
        "index.md",
        "playground.md",
        "learn/deep-network.md",
        "understand/bugs.md",
        "understand/step.md",
    )
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        small_site(folder, *pages)
    builders = [
        mkdocs(folder, "build", "--no-strict", PYTHONHASHSEED=str(seed))
        for seed, folder in enumerate(folders)
    ]
    for builder in builders:
        finished(builder)
    first, second = (
        {
            file.relative_to(folder).as_posix(): file.read_bytes()
            for file in (folder / "site").rglob("*")
            if file.is_file() and not file.name.startswith("sitemap.xml")
        }
        for folder in folders
    )
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


class Page(HTMLParser):
    """The links and anchors of one page, and what a browser would load for it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: list[str] = []
        self.tags: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append(tag)
        self.anchors += [attributes[key] or "" for key in ("id", "name") if key in attributes]
        link = attributes.get("href") or attributes.get("src")
        if link is None:
            return
        self.links.append(link)
        loaded = attributes.get("rel") not in {"canonical", "next", "prev", "edit"}
        if "src" in attributes or (tag == "link" and loaded):
            self.loads.append(link)


@pytest.fixture(scope="module")
def parsed(site: Site) -> dict[str, Page]:
    """Every page of HTML, by its address."""
    return {
        SITE_URL + file.relative_to(site.path).as_posix().removesuffix("index.html"): Page(file)
        for file in site.path.rglob("*.html")
    }


def test_every_link_leads_somewhere(site: Site, parsed: dict[str, Page]) -> None:
    broken = []
    for address, page in parsed.items():
        for link in page.links:
            target = urlsplit(urljoin(address, link))
            place = target._replace(fragment="", query="").geturl()
            if not place.startswith(SITE_URL):
                continue
            if place in parsed:
                anchors = parsed[place].anchors
                found = not target.fragment or unquote(target.fragment) in anchors
            else:
                found = (site.path / place.removeprefix(SITE_URL)).is_file()
            if not found:
                broken.append(f"{address}: {link}")
    assert broken == []


OLD = [
    "changelog contributing reference learn/deep-network learn/good-points learn/nine-steps",
    "do/cluster do/float32 do/frameworks do/million-parameters do/pytest do/scipy",
    "do/your-back-pass understand/bugs understand/checker-at-fault understand/comparison",
    "understand/step understand/trust",
]


@pytest.mark.parametrize("address", " ".join(OLD).split())
def test_what_others_link_to_is_still_there(site: Site, address: str) -> None:
    assert (site.path / address / "index.html").is_file()


def test_every_anchor_is_there_once(parsed: dict[str, Page]) -> None:
    twice = [
        f"{address}#{anchor}"
        for address, page in parsed.items()
        for anchor in {anchor for anchor in page.anchors if page.anchors.count(anchor) > 1}
        if not anchor.startswith("__")  # Material's own, in <input> and <label>
    ]
    assert twice == []


def test_nothing_is_loaded_from_elsewhere(site: Site, parsed: dict[str, Page]) -> None:
    for address, page in parsed.items():
        assert [link for link in page.loads if urlsplit(link).netloc] == [], address
    for file in site.path.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", file.read_text()), file


def test_no_source_map_is_shipped_or_asked_for(site: Site) -> None:
    scripts = list(site.path.rglob("*.js"))
    assert scripts
    assert [file for file in scripts if "sourceMappingURL" in file.read_text()] == []
    assert list(site.path.rglob("*.map")) == []


def test_formulas_are_in_the_page(parsed: dict[str, Page], site: Site) -> None:
    for page in PAGES:
        source = re.sub(r"```.*?```|`[^`]*`", "", (ROOT / "docs" / page).read_text(), flags=re.S)
        if "$" in source:
            html = html_of(site, page)
            assert "math" in Page(html).tags, page
            assert "arithmatex" not in html.read_text(), page


def test_llms_txt_lists_every_page_as_markdown(site: Site) -> None:
    text = (site.path / "llms.txt").read_text()
    listed = re.findall(rf"\]\({SITE_URL}([^)]*)\)", text)
    assert sorted(listed) == PAGES
    for page in listed:
        assert (site.path / page).read_text().lstrip().startswith("#"), page


def test_preview_is_there(site: Site) -> None:
    html = (site.path / "index.html").read_text()
    image = re.search(r'property="og:image" content="([^"]*)"', html)
    assert image is not None
    assert (site.path / image[1].removeprefix(SITE_URL)).is_file()


def test_page_that_is_not_there_helps(site: Site) -> None:
    html = (site.path / "404.html").read_text()
    assert "search" in html
    for page in PAGES:
        assert f'href="/gradcheck/{page.removesuffix("index.md").removesuffix(".md")}' in html


def test_every_public_name_is_in_the_reference(site: Site) -> None:
    anchors = set(re.findall(r'id="([^"]*)"', (site.path / "reference/index.html").read_text()))
    assert {f"gradcheck.{name}" for name in gradcheck.__all__} <= anchors


def test_the_reference_is_well_set(site: Site) -> None:
    html = (site.path / "reference/index.html").read_text()
    assert "`" not in html
    assert not re.search(r"\u2013\s*(<div[^>]*>\s*</div>\s*)?</li>", html)


def test_contents_end_at_the_depth_that_a_page_asks_for(site: Site) -> None:
    html = (site.path / "understand/bugs/index.html").read_text()
    listed = set(re.findall(r'<a href="#([^"]*)" class="md-nav__link"', html))
    second, third = (set(re.findall(rf'<h{level} id="([^"]*)"', html)) for level in (2, 3))
    assert second
    assert third
    assert second <= listed
    assert not third & listed


def test_folded_tables_are_not_searched(site: Site) -> None:
    assert "<td>tanh network</td>" in (site.path / "understand/trust/index.html").read_text()
    assert "tanh network" not in (site.path / "search/search_index.json").read_text()


def test_every_option_of_check_gradient_is_shown_on_some_page() -> None:
    blocks = "".join(
        block
        for page in PAGES
        for block in re.findall(r"```python.*?```", (ROOT / "docs" / page).read_text(), flags=re.S)
    )
    options = list(inspect.signature(gradcheck.check_gradient).parameters)[3:]
    assert [option for option in options if f"{option}=" not in blocks] == []


@pytest.mark.parametrize(
    ("page", "code", "said"),
    [
        ("do/float32.md", "lopsided", ("float32 PASSED", "float64 WRONG")),
        ("do/float32.md", "1.0001", ("float32: PASSED", "float64: WRONG")),
        ("do/scipy.md", "wrong_row", ("outputs [4] alone",)),
        ("understand/checker-at-fault.md", "elsewhere", ("PASSED, blind", "elsewhere: WRONG")),
        ("learn/good-points.md", "raised(w)", ("large   wrong   PASSED", "maybe   WRONG")),
        ("learn/good-points.md", '"equal"', ("equal weights: PASSED", "random weights: WRONG")),
    ],
)
def test_what_a_page_says_of_a_block_is_what_it_printed(
    site: Site, page: str, code: str, said: tuple[str, ...]
) -> None:
    (printed,) = [block["output"] for block in site.blocks(page) if code in block["code"]]
    for text in said:
        assert text in printed
