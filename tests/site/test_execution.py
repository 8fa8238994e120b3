"""Whatever is not right in a block fails the build, and is listed with its page and line."""

from __future__ import annotations

import json
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from conftest import ROOT, mkdocs

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = f"""
site_name: a small site
theme: mkdocs
strict: true
hooks: [{ROOT}/docs/_build/execute.py, {ROOT}/docs/_build/maths.py]
plugins: [markdown-exec]
markdown_extensions:
  - admonition
  - pymdownx.superfences
  - pymdownx.arithmatex: {{generic: true}}
"""

# What is wrong: (the page, the line it is to be reported at, what is to be said).
WRONG = {
    "raises": (
        '```python exec="true"\nx = 1\n1 / 0\n```',
        1,
        "ZeroDivisionError: division by zero",
    ),
    "traceback": ('text\n\n```python exec="true"\nx = 1\n1 / 0\n```', 3, 'traceback.md", line 5'),
    "front_matter": ('---\ntitle: x\n---\n\n```python exec="true"\nnone\n```', 5, "NameError"),
    "syntax": ('```python exec="true"\nx = = 1\n```', 1, "SyntaxError"),
    "exits": ('```python exec="true"\nimport sys\nsys.exit(0)\n```', 1, "SystemExit: 0"),
    "ends": ('```python exec="true"\nimport os\nos._exit(0)\n```', 1, "ended Python"),
    "after_end": (
        '```python exec="true"\nimport os\nos._exit(0)\n```\n\n```python exec="true"\n1\n```',
        6,
        "did not run: the block in line 1 ended Python",
    ),
    "warns": (
        '```python exec="true"\nimport warnings\nwarnings.warn("look here")\n```',
        1,
        "UserWarning: look here",
    ),
    "warns_numpy": (
        '```python exec="true"\nimport numpy as np\nprint(np.float64(0) / 0)\n```',
        1,
        "RuntimeWarning: invalid value",
    ),
    "stderr": (
        '```python exec="true"\nimport sys\nprint("psst", file=sys.stderr)\n```',
        1,
        "wrote to standard error:\npsst",
    ),
    "too_long": ('```python exec="true"\nwhile True:\n    pass\n```', 1, "ran longer than 6 s"),
    "too_long_in_c": ('```python exec="true"\nprint(9**9**9)\n```', 1, "ran longer than 6 s"),
    "asks": ('```python exec="true"\ninput()\n```', 1, "EOFError"),
    "other_error": (
        '```python exec="true" raises="ValueError"\nraise KeyError("w")\n```',
        1,
        "KeyError: 'w'",
    ),
    "no_error": (
        '```python exec="true" raises="ValueError"\nx = 1\n```',
        1,
        "was to raise ValueError, and did not",
    ),
    "other_session": (
        '```python exec="true" session="a"\nx = 1\n```\n```python exec="true" session="b"\nx\n```',
        4,
        "NameError: name 'x' is not defined",
    ),
    "no_session": (
        '```python exec="true"\nx = 1\n```\n\n```python exec="true"\nx\n```',
        5,
        "NameError: name 'x' is not defined",
    ),
    "unknown_option": (
        '```python exec="true" sesion="a"\nx = 1\n```',
        1,
        "unknown option `sesion`",
    ),
    "misspelt_exec": ('```python exce="true"\nx = 1\n```', 1, "unknown option `exce`"),
    "unquoted": ("```python exec=true\nx = 1\n```", 1, "cannot read `exec=true`"),
    "single_quotes": ("```python exec='true'\nx = 1\n```", 1, "cannot read `exec='true'`"),
    "wrong_value": ('```python exec="yes"\nx = 1\n```', 1, "know one value"),
    "braces": ('``` { .python exec="true" }\nx = 1\n```', 1, "cannot read"),
    "language": ('```pyton exec="true"\nx = 1\n```', 1, "only python is executed, not `pyton`"),
    "edit_value": ('```python exec="true" edit="yes"\nx = 1\n```', 1, "`edit` knows one value"),
    "edit_scipy": (
        '```python exec="true" session="a"\nimport scipy\n```\n\n'
        '```python exec="true" session="a" edit="open"\nx = 1\n```',
        5,
        "cannot be run in the page: it needs scipy",
    ),
    "edit_html": (
        '```python exec="true" html="true" edit="open"\nprint(1)\n```',
        1,
        "cannot be run in the page: it shows more than text",
    ),
    "in_comment": ('<!--\n```python exec="true"\nx = 1\n```\n-->', 2, "is not on the page"),
    "not_closed": ('# Page\n\n```python exec="true"\nprint(1)\n', 3, "the fence is not closed"),
    "as_text": ('Look: ` ``python exec="true"`\n\n`` `python exec="true"', 3, "stands in text"),
    "no_language": ('# Page\n\n``` exec="true"\nx = 1\n```', 3, "the fence has no language"),
    "two_ticks": ('# Page\n\n``python exec="true"\nx = 1\n``', 3, "`exec=` stands in text"),
    "in_list": ('- ```python exec="true"\n  x = 1\n  ```', 1, "`exec=` stands in text"),
    "misspelt": ("# Page\n\n{{ genrated: bugs }}", 3, "cannot read `{{ genrated: bugs }}`"),
    "not_alone": ("# Page\n\nAll: {{ generated: bugs }}", 3, "cannot read `All: {{ gen"),
    "at_exit": (
        '```python exec="true"\nimport atexit\n\natexit.register(print, "bye")\n```',
        1,
        "wrote after the last block:\nbye",
    ),
    "late_thread": (
        '```python exec="true"\nimport threading\n\nthreading.Timer(1, lambda: 1 / 0).start()\n```',
        1,
        "ZeroDivisionError: division by zero",
    ),
    "endless_thread": (
        '```python exec="true"\nimport threading\n\nthreading.Timer(60, print).start()\n```',
        1,
        "a thread ran on for 6 s after the last block",
    ),
    "generated": ("# Page\n\n{{ generated: nothing_of_this_name }}", 3, "nothing_of_this_name.py"),
    "no_title": (
        '```python exec="true"\nimport matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\n```',
        1,
        "a figure has no title",
    ),
    "not_shown": (
        '```python exec="true"\nimport matplotlib.pyplot as plt\nplt.plot([1])\n```',
        1,
        "drawn but not shown",
    ),
}


def build(folder: Path, pages: dict[str, str], **variables: str) -> tuple[int, str]:
    (folder / "mkdocs.yml").write_text(CONFIG)
    for name, text in pages.items():
        page = folder / "docs" / f"{name}.md"
        page.parent.mkdir(exist_ok=True)
        page.write_text(text)
    variables |= {"SITE_REPORT": str(folder / "report.json"), "SITE_BLOCK_SECONDS": "6"}
    builder = mkdocs(folder, "build", **variables)
    said = builder.communicate(timeout=120)[0]
    return builder.returncode, said


ONCE = pytest.mark.xdist_group("failed")  # one build serves them all


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str]:
    """One site with everything that can be wrong: all of it has to be listed."""
    pages = {name: text for name, (text, _, _) in WRONG.items()}
    return build(tmp_path_factory.mktemp("wrong"), pages)


@ONCE
def test_build_fails(failed: tuple[int, str]) -> None:
    status, said = failed
    assert status == 1
    assert "failures" in said


@ONCE
@pytest.mark.parametrize("name", WRONG)
def test_failure_is_listed_with_page_and_line(failed: tuple[int, str], name: str) -> None:
    _, line, message = WRONG[name]
    listed = failed[1].split("\ndocs/")
    about = [text for text in listed if text.startswith(f"{name}.md:{line}: ")]
    assert about, failed[1]
    assert message in about[0]


RIGHT = """
    ---
    title: Right
    ---

    ```python exec="true" session="story"
    import os
    import pprint
    import subprocess
    import sys

    print("a", "b", sep="-", end="!\\n")
    sys.stdout.write("written <b>\\n")
    pprint.pprint({"b": 1, "a": 2})
    os.chdir("/")
    os.environ["LEAK"] = "1"
    sys.path.append("/leak")
    ```

    ```python exec="true" session="story"
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    ```

    !!! note

        ```python exec="true" raises="ValueError"
        if True:

            print("in a note")
        raise ValueError("`x0` is empty")
        ```

    ```python exec="true" raises="KeyError"
    raise KeyError
    ```

    The line `{{ generated: x }}`, and the option `exec="true"`, are only written about here.

    ````markdown
    ```python exec="true"
    {{ x }}
    ```
    ````

    ```python exec="true" html="true"
    print("<em>emphasis</em>")
    ```

    ```python exec="true" fold="true"
    print("of a drawing")
    ```
"""


def test_everything_printed_reaches_page_and_report(tmp_path: Path) -> None:
    leaks = 'print("LEAK" in os.environ, "/leak" in sys.path, os.getcwd() == "/")'
    pages = {
        "index": dedent(RIGHT).lstrip(),
        "later": f'```python exec="true" session="story"\nimport os\nimport sys\n\n{leaks}\n```\n',
    }
    status, said = build(tmp_path, pages)
    assert status == 0, said
    report = json.loads((tmp_path / "report.json").read_text())
    assert [(block["page"], block["line"], block["output"]) for block in report] == [
        ("docs/index.md", 5, "a-b!\nwritten <b>\n{'a': 2, 'b': 1}\n"),
        ("docs/index.md", 19, "from a child\n"),
        ("docs/index.md", 25, "in a note\nValueError: `x0` is empty\n"),
        ("docs/index.md", 32, "KeyError\n"),
        ("docs/index.md", 44, "<em>emphasis</em>\n"),
        ("docs/index.md", 48, "of a drawing\n"),
        ("docs/later.md", 1, "False False False\n"),
    ]
    assert all(block["seconds"] > 0 for block in report)
    html = (tmp_path / "site" / "index.html").read_text()
    for shown in (
        "<samp>a-b!\nwritten &lt;b&gt;\n{&#x27;a&#x27;: 2, &#x27;b&#x27;: 1}\n</samp>",
        '<samp><span class="long">in a note</span>\n'
        '<span class="long">ValueError: `x0` is empty</span>\n</samp>',
        '<div class="output"><em>emphasis</em>\n</div>',
        "of a drawing\n</samp></pre><details><summary>The whole program</summary><div",
    ):
        assert shown in html


def test_wrong_formula_fails_the_build(tmp_path: Path) -> None:
    pages = {"index": "# Page\n\n$w + 1$ and $\\frac{1}$\n", "later": r"$\nonsense$ and $\left($"}
    status, said = build(tmp_path, pages)
    assert status == 1
    for place, formula in [("index", r"\frac{1}"), ("later", r"\nonsense"), ("later", r"\left(")]:
        assert f"docs/{place}.md: cannot set ${formula}$" in said


def test_execution_can_be_switched_off(tmp_path: Path) -> None:
    pages = {"index": '```python exec="true"\nprint("-".join(["never", "ran"]))\n```\n'}
    status, said = build(tmp_path, pages, SITE_EXECUTE="false")
    assert status == 0, said
    html = (tmp_path / "site" / "index.html").read_text()
    assert "print" in html
    assert "never-ran" not in html
