"""Print what the build of the site costs beyond the blocks that it runs.

The goal: a full build in at most three times a build with execution switched off, plus the seconds
of the blocks themselves. Run it from the project's folder: python tests/benchmarks/site_build.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(folder: Path, **variables: str) -> tuple[float, float]:
    """Build the site; return the seconds it took, and those of its blocks."""
    report = folder / "report.json"
    variables = os.environ | {"NO_MKDOCS_2_WARNING": "1", "SITE_REPORT": str(report)} | variables
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--quiet",
        "--site-dir",
        str(folder / "site"),
    ]
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=variables, check=True)
    seconds = time.perf_counter() - start
    return seconds, sum(block["seconds"] for block in json.loads(report.read_text()))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        off = min(build(Path(name), SITE_EXECUTE="false")[0] for _ in range(3))
        full, blocks = min(build(Path(name)) for _ in range(3))
    print(f"execution switched off   {off:6.1f} s")
    print(f"the blocks themselves    {blocks:6.1f} s")
    print(f"full build               {full:6.1f} s")
    print(f"goal, 3 x off + blocks   {3 * off + blocks:6.1f} s")
    print(f"full / goal              {full / (3 * off + blocks):6.2f}")


if __name__ == "__main__":
    main()
