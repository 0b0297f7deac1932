"""The one-way order of the modules, and that `import colorlib` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "colorlib"

# Each row may import the rows above it and its own row's left neighbours; nothing reaches back.
ORDER = [
    ["__init__"],
    ["files", "settings"],
    ["colab"],
    ["download"],
    ["archives", "journal", "ranges"],
    ["photos", "lab", "sample"],
    ["splits", "packs", "published", "datasets", "prior"],
    ["batches", "losses", "models", "checkpoints", "runs"],
    ["training"],
    ["scores", "evaluation", "colorize"],
    ["figures", "exercises"],
    ["badges", "notebooks", "__main__"],
]
RANK = {name: (row, column) for row, names in enumerate(ORDER) for column, name in enumerate(names)}


def imported_modules(source: str) -> set[str]:
    """The names of the project's own modules that a source imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "colorlib":
            found |= {alias.name if alias.name in RANK else "__init__" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("colorlib."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.level:
            found |= {node.module or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("colorlib.")}
    return found


def backward_arrows(name: str, source: str) -> list[str]:
    return [other for other in sorted(imported_modules(source)) if RANK[other] >= RANK[name]]


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_imports_run_one_way(path):
    assert path.stem in RANK, f"{path.name} has no place in the order: add it to ORDER and say why"
    assert backward_arrows(path.stem, path.read_text()) == []


def test_an_arrow_that_runs_back_is_noticed():
    assert backward_arrows("prior", "from colorlib import training") == ["training"]
    assert backward_arrows("lab", "def f():\n    import colorlib.batches") == ["batches"]
    assert backward_arrows("models", "from colorlib.evaluation import table1") == ["evaluation"]
    assert backward_arrows("training", "from colorlib import ColorlibError, lab") == []


@pytest.mark.parametrize("module", ["models", "losses"])
def test_models_and_losses_import_keras_alone(module):
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(node.module.split(".")[0])
    assert roots - set(sys.stdlib_module_names) <= {"keras", "numpy", "colorlib"}


def test_importing_the_package_is_light():
    heavy = {"tensorflow", "keras", "numpy", "matplotlib", "skimage"}
    code = "import sys, colorlib, colorlib.settings, colorlib.colab; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert not heavy & set(loaded.stdout.split())


def test_only_settings_reads_the_environment_and_only_colab_names_it():
    for path in PACKAGE.glob("*.py"):
        source = path.read_text()
        if path.stem != "settings":
            assert 'environ.get("COLORLIB' not in source and 'getenv("COLORLIB' not in source, path.name
        if path.stem != "colab":
            assert "google.colab" not in source, path.name
