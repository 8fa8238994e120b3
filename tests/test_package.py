"""The house: five rooms in one direction, one public surface, NumPy and nothing else."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcheck

PACKAGE = Path(gradcheck.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
FUNCTIONS = [
    "check_gradient",
    "assert_gradient",
    "check_backward",
    "assert_backward",
    "numerical_gradient",
    "directional_derivative",
    "sweep_steps",
]
RESULTS = ["Derivative", "Entry", "Finding", "GradientReport", "StepSweep"]


def imported(source: str, package: str) -> set[str]:
    """Return the full names of all that a module of `package` imports, at whatever depth."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def imports_of(path: Path) -> set[str]:
    package = ".".join([PACKAGE.name, *path.parent.relative_to(PACKAGE).parts])
    return imported(path.read_text(encoding="utf-8"), package)


ROOMS = ("measuring", "judging", "explaining", "reporting")  # each knows those before it


def rooms_of(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("gradcheck.")}


def test_the_test_itself_sees_every_way_to_import() -> None:
    room = "gradcheck.learning"
    for source in (
        "import gradcheck.judging.judge",
        "import gradcheck.judging as c",
        "from gradcheck import judging",
        "from gradcheck.judging import judge",
        "from ..judging import judge",
        "from .. import judging",
        "def f():\n    from gradcheck.judging.table import Entry",
    ):
        assert "judging" in rooms_of(imported(source, room)), source
    assert imported("from . import data", room) == {room, f"{room}.data"}


@pytest.mark.parametrize("room", ["learning", *ROOMS])
def test_a_room_knows_only_the_rooms_before_it(room: str) -> None:
    may = {room, *ROOMS[: ROOMS.index(room)]} if room in ROOMS else {room}
    files = sorted((PACKAGE / room).rglob("*.py"))
    assert len(files) > 1
    for path in files:
        names = imports_of(path)
        assert rooms_of(names) <= may, path
        # The package's own top level would bring the other rooms in by the back door.
        assert "gradcheck" not in names, path


def test_the_check_does_not_know_the_code_under_check() -> None:
    assert "learning" not in rooms_of(imports_of(PACKAGE / "check.py"))


def test_the_package_imports_numpy_and_the_standard_library_alone() -> None:
    allowed = {"numpy", "gradcheck", *sys.stdlib_module_names}
    for path in MODULES:
        others = {name.split(".")[0] for name in imports_of(path)} - allowed
        # tqdm is an optional extra, looked for only where somebody asks for a bar.
        assert others <= ({"tqdm"} if path.name == "workers.py" else set()), path


def test_importing_gradcheck_loads_numpy_and_nothing_else() -> None:
    program = """if True:
        import sys, numpy
        before = set(sys.modules)
        import gradcheck
        new = {name.split(".")[0] for name in set(sys.modules) - before}
        mine = {"gradcheck", "numpy", "__mp_main__"}  # the last is multiprocessing's alias
        print(*sorted(new - set(sys.stdlib_module_names) - mine))
        print(*sorted(name for name in sys.modules if name.startswith("gradcheck.learning")))
    """
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == []
    assert out.stderr == ""


def test_nothing_points_back() -> None:
    """The arrow of reading within the core: parameters know nobody, the judge no entries."""
    below = {
        "measuring.misuse": set(),
        "measuring.structures": set(),
        "measuring.parameters": {"misuse", "structures"},
        "measuring.loss": {"misuse", "structures", "parameters"},
        "measuring.slopes": {"parameters", "loss"},
        "judging.judge": {"parameters", "loss", "slopes", "table"},
        "judging.entries": {"parameters", "loss", "slopes", "judge", "table"},
        "explaining.evidence": set(),
        "explaining.hypotheses": {"evidence", "words"},
    }
    for name, may in below.items():
        names = imports_of(PACKAGE / f"{name.replace('.', '/')}.py")
        known = {n.split(".")[2] for n in names if n.startswith("gradcheck.") and n.count(".") > 1}
        assert known <= may, name


def test_the_top_level_holds_the_project_and_nothing_else() -> None:
    root = PACKAGE.parent
    if not (root / ".git").exists():
        pytest.skip("no checkout: what git tracks is not known")
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    names = {file.partition("/")[0] for file in tracked}
    folders, files = {"docs", "gradcheck", "tests"}, {"mkdocs.yml", "pyproject.toml", "README.md"}
    assert {name for name in names if name[0] != "."} == folders | files | {"LICENSE"}


def test_the_public_names_are_those_of_the_design_and_no_others() -> None:
    assert sorted(gradcheck.__all__) == sorted(FUNCTIONS + RESULTS)
    assert all(hasattr(gradcheck, name) for name in gradcheck.__all__)
    assert gradcheck.__version__
    assert (PACKAGE / "py.typed").exists()


SIGNATURES = {
    "check_gradient": (
        "(fun, grad, x0, *, args=(), shapes=None, dtype=None, method='auto', rtol=None, atol=0.0, "
        "step=None, rng=None, max_wrong=20, workers=1, progress=None)"
    ),
    "check_backward": (
        "(forward, backward, inputs, *, cache=False, dtype=None, method='auto', rtol=None, "
        "atol=0.0, rng=None, max_wrong=20, workers=1, progress=None)"
    ),
    "numerical_gradient": "(fun, x0, *, args=(), step=None)",
    "directional_derivative": "(fun, x0, direction, *, args=(), step=None)",
    "sweep_steps": "(fun, grad, x0, *, args=(), direction=None, steps=None, rng=None)",
}


def bare_signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_signatures_are_those_of_the_design(name: str) -> None:
    assert bare_signature(getattr(gradcheck, name)) == SIGNATURES[name]


def test_assert_gradient_takes_what_check_gradient_takes() -> None:
    parameters = inspect.signature(gradcheck.assert_gradient).parameters
    assert list(parameters)[:3] == ["fun", "grad", "x0"]
    options: dict[str, Any] = {
        "args": (2.0,),
        "method": "directions",
        "rtol": 1e-5,
        "atol": 1e-9,
        "rng": 1,
        "max_wrong": 3,
        "workers": map,
        "progress": None,
    }

    def loss(w: Any, c: float) -> Any:
        return c * np.sum(w**2)

    assert gradcheck.assert_gradient(loss, lambda w, c: 2 * c * w, np.ones(3), **options).passed
    with pytest.raises(TypeError, match="tolerance"):
        gradcheck.assert_gradient(loss, lambda w, c: w, np.ones(3), tolerance=1)  # type: ignore[call-arg]


def test_the_fields_of_the_results_are_those_of_the_design() -> None:
    assert gradcheck.Derivative._fields == ("value", "error")
    fields = ("name", "analytic", "numerical", "error", "verdict", "reason")
    assert gradcheck.Entry._fields == fields
    assert gradcheck.Finding._fields == ("where", "bug", "evidence", "look_at")
    report = gradcheck.check_gradient(lambda w: np.sum(w**2), lambda w: 2 * w, np.ones(2))
    for name in ("passed", "entries", "wrong", "unresolved", "findings", "nfev", "method"):
        assert hasattr(report, name)
    for name in ("resolution", "complete", "table", "_repr_html_", "to_dict", "raise_if_wrong"):
        assert hasattr(report, name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_all_that_its_reader_needs(name: str) -> None:
    text = inspect.getdoc(getattr(gradcheck, name)) or ""
    for section in ("Parameters", "Returns", "Raises", "References", "Examples"):
        assert f"\n{section}\n{'-' * len(section)}\n" in text, section
    assert f"{name}(" in text.split("Examples\n")[1]
    for parameter in inspect.signature(getattr(gradcheck, name)).parameters:
        assert parameter in text


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_says_what_its_fields_are(name: str) -> None:
    text = inspect.getdoc(getattr(gradcheck, name)) or ""
    assert len(text) > 40
    assert not text.startswith(f"{name}(")  # what Python writes where nobody did


def test_every_function_of_the_package_has_type_hints() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.returns is not None, f"{path.name}:{node.lineno} {node.name}"
