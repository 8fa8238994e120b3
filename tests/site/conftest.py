"""The site, built once for all tests here, as `mkdocs build` builds it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from serving import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs" / "_build"))  # some of its scripts are tested, and named here
PAGES = sorted(
    path.relative_to(ROOT / "docs").as_posix()
    for path in (ROOT / "docs").rglob("*.md")
    if "_build" not in path.parts
)
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


@dataclass
class Site:
    path: Path
    report: list[dict[str, Any]]

    def blocks(self, page: str) -> list[dict[str, Any]]:
        return [block for block in self.report if block["page"] == f"docs/{page}"]


def mkdocs(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start mkdocs in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "mkdocs", *arguments],
        cwd=folder,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def small_site(folder: Path, *pages: str) -> None:
    """Make a folder with what a site like this one needs, and some of its pages."""
    for part in ("docs/_build", "docs/assets", "gradcheck"):
        shutil.copytree(ROOT / part, folder / part)
    for page in pages:
        (folder / "docs" / page).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "docs" / page, folder / "docs" / page)
    config = (ROOT / "mkdocs.yml").read_text()
    (folder / "mkdocs.yml").write_text(re.sub(r"\nnav:\n(?: .*\n)+", "\n", config))


def build(folder: Path, **variables: str) -> subprocess.Popen[str]:
    """Start a build of the site of this checkout."""
    variables |= {"SITE_REPORT": f"{folder}.json"}
    return mkdocs(ROOT, "build", "--strict", "--site-dir", str(folder), **variables)


def finished(builder: subprocess.Popen[str]) -> str:
    """Wait for a build that has to succeed; give what it said."""
    said = builder.communicate(timeout=600)[0]
    assert builder.returncode == 0, said
    return said


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site. Of several processes of pytest-xdist, one builds it, and the others wait."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, said = shared / "site", shared / "site-said"
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + 900
        while not said.exists() and time.monotonic() < end:
            time.sleep(0.2)
    else:
        failed = ""
        try:
            finished(build(folder))
        except (AssertionError, subprocess.TimeoutExpired) as error:
            failed = str(error)
        said.with_suffix(".part").write_text(failed)
        said.with_suffix(".part").rename(said)  # at once, whole
    assert said.read_text() == ""
    return Site(folder, json.loads(Path(f"{folder}.json").read_text()))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}: install it, or set CHROMIUM to where it is")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def address(site: Site) -> Iterator[str]:
    with serve(site.path) as served:
        yield served
