"""What pages show but cannot run when the site is built: files that need other packages.

On a page, such a file is a Python fence with a title that ends in .py, and the text fence after it
is what the file prints. Run `python tests/frameworks/test_examples.py` to fill these in anew, and
the versions that the page says it was run with.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import textwrap
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
FILE = re.compile(
    r'^(?P<indent> *)```python title="(?P<name>\w+\.py)"\n(?P<code>.*?)^ *```\n\n'
    r" *```text\n(?P<output>.*?)^ *```\n",
    re.DOTALL | re.MULTILINE,
)
VERSIONS = re.compile(r"^versions: \{(.*)\}$", re.MULTILINE)
PEERS = {  # what is imported, and the package that has it
    "autograd": "autograd",
    "distributed": "distributed",
    "jax": "jax",
    "sklearn": "scikit-learn",
    "torch": "torch",
}


class Example(NamedTuple):
    """A file on a page, and what the page says that it prints."""

    page: Path
    name: str
    code: str
    output: str

    @property
    def needed(self) -> list[str]:
        """What it imports, besides the packages that the site needs."""
        return [p for p in PEERS if re.search(rf"^(from|import) .*\b{p}\b", self.code, re.M)]

    @property
    def missing(self) -> list[str]:
        """The packages that it needs and this Python does not have."""
        return [PEERS[name] for name in self.needed if find_spec(name) is None]

    def run(self, folder: Path) -> str:
        """Run the file as a reader would, with pytest if it is a test; return what it prints."""
        (folder / self.name).write_text(self.code)
        pytest_too = ["-m", "pytest", "-qq"] if self.name.startswith("test_") else []
        ran = subprocess.run(
            [sys.executable, "-W", "error", *pytest_too, self.name],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stderr or ran.stdout
        return ran.stdout


def without_round_off(text: str) -> str:
    """Leave out how small a difference was: it is round-off, which depends on the processor."""
    return re.sub(r"<\de-\d\d", "<?e-??", text)


def example_in(found: re.Match[str], page: Path) -> Example:
    """Return what was found, without the indent that it has within a tab."""
    code, output = (textwrap.dedent(found[part]) for part in ("code", "output"))
    return Example(page, found["name"], code, output)


def examples(page: Path) -> list[Example]:
    return [example_in(found, page) for found in FILE.finditer(page.read_text())]


EXAMPLES = [example for page in PAGES for example in examples(page)]


def test_every_file_is_found() -> None:
    titles = sum(
        len(re.findall(r'^ *```python title="\w+\.py"$', page.read_text(), re.M)) for page in PAGES
    )
    assert len(EXAMPLES) == titles > 5


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.page.stem}-{e.name}")
def test_file_prints_what_the_page_says(example: Example, tmp_path: Path) -> None:
    if example.missing:
        pytest.skip(f"needs {', '.join(example.missing)}: `pip install 'gradcheck[test,peers]'`")
    assert without_round_off(example.run(tmp_path)) == without_round_off(example.output)


def test_pages_say_with_which_versions_they_were_run() -> None:
    for example in EXAMPLES:
        said = VERSIONS.search(example.page.read_text())
        told = said[1] if said else ""
        assert [name for name in example.needed if f'{PEERS[name]}: "' not in told] == []


def versions(page: Path) -> str:
    """Write down what the files of a page were run with."""
    needed = {name for example in examples(page) for name in example.needed}
    known = ["gradcheck", "numpy", *sorted(PEERS[name] for name in needed if find_spec(name))]
    told = {package: version(package).partition("+")[0] for package in known}
    told["python"] = platform.python_version()
    return "versions: {" + ", ".join(f'{name}: "{told[name]}"' for name in told) + "}"


def fill_in(found: re.Match[str]) -> str:
    """Replace the output of one file by what it prints here."""
    example = example_in(found, Path())
    if example.missing:
        print(f"{example.name}: left alone, needs {', '.join(example.missing)}")
        return found[0]
    with tempfile.TemporaryDirectory() as folder:
        output = textwrap.indent(example.run(Path(folder)), found["indent"])
    start, end = found.start("output") - found.start(), found.end("output") - found.start()
    return found[0][:start] + output + found[0][end:]


if __name__ == "__main__":
    for page in PAGES:
        text = FILE.sub(fill_in, page.read_text())
        page.write_text(VERSIONS.sub(versions(page), text))
