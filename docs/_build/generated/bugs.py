"""Write the catalogue of bugs as Markdown: one entry for each fault, under what the check says.

How a fault is checked stands once, in the first block of the page. The table at the top of the
page is made by `bugs_by_name.py`.
"""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from gradcheck.learning.faults import CATALOGUE, Fault

PAGE = Path(__file__).parents[2] / "understand" / "bugs.md"
MODELS = {"linear": "Linear model", "network": "Network"}
SAY = '''
```python exec="true" session="bugs"
def say(name):
    """Print the verdict and the first finding."""
    report = check(name)
    where, bug, evidence, look_at = report.findings[0]
    print(report.headline())
    print(f"{where}: {bug}. {evidence}")
    print(f"Look at: {look_at}")
```
'''


def main() -> None:
    """Print one fault for each bug that the report names, and those that are alike folded."""
    print("In what follows, the line with the minus is the bug, the line with the plus is right.")
    print("Of each report you see the verdict and the first finding:")
    print(SAY)
    for bug, faults in by_name().items():
        first, *alike = faults
        print(f"## “{bug}” {{ #says-{anchor(bug)} }}\n\n{entry(first)}")
        if alike:
            print("<details markdown data-search-exclude>")
            print(f"<summary>{len(alike)} more with such a report</summary>\n")
            print("\n".join(map(entry, alike)) + "\n</details>\n")


def by_name() -> dict[str, list[Fault]]:
    """Return the faults by the bug that the report names first."""
    check = checker()
    groups: dict[str, list[Fault]] = {}
    for fault in CATALOGUE:
        findings = check(fault.name).findings
        groups.setdefault(findings[0].bug if findings else "nothing", []).append(fault)
    return groups


def checker() -> Any:
    """Return the function `check` of the page."""
    code = re.search(r"^```python[^\n]*\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.M)
    assert code is not None
    names: dict[str, Any] = {}
    with redirect_stdout(io.StringIO()):
        exec(code[1], names)
    return names["check"]


def entry(fault: Fault) -> str:
    """Return what the page says of one fault."""
    options = ", ".join(f"{name}={value!r}" for name, value in fault.needs.items())
    where = MODELS[fault.model] + (f", with {options}" if options else "")
    lines = [f"- {line}" for line in fault.wrong.splitlines()] + [f"+ {fault.right}"]
    why = text(fault.why)
    if fault.signature is None:
        why += " Other bugs give numbers like these: so the report tells where, and not which."
    return "\n".join(
        [
            f"### {text(fault.name)} {{ #{anchor(fault.name)} }}\n",
            f"```diff\n  # {where}",
            *lines,
            "```\n",
            f'```python exec="true" session="bugs"\nsay("{fault.name}")\n```\n',
            f"{why}\n",
        ]
    )


def anchor(name: str) -> str:
    """Return a name that can stand in a link."""
    return re.sub(r"\W+", "-", name.lower()).strip("-")


def text(words: str) -> str:
    """Keep Markdown from reading signs in what is plain text."""
    return re.sub(r"([*_\\])", r"\\\1", words)


if __name__ == "__main__":
    main()
