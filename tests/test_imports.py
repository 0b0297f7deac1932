"""The one-way order of the modules, and that `import colorlib` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "colorlib"

# Each row may import the rows above it and, in its own row, what stands to its left; nothing reaches back.
ORDER = [
    ["__init__"],
    ["settings", "sources.files", "sources.tiff", "lab"],
    ["sources.http"],
    ["sources.tar", "sources.weights"],
    ["sources.photos"],
    [
        "sources.splits",
        "sources.sampling",
        "sources.packs",
        "sources.published",
        "sources.folder",
        "sources.sample",
        "sources",
    ],
    ["batches", "prior", "losses", "models"],
    ["runs.checkpoint", "runs.identity", "runs.copier", "runs.run", "runs"],
    ["training"],
    ["colorize", "evaluation"],
    ["figures"],
    ["course.exercises", "course.colab", "course.yours", "course.notebooks", "course"],
    ["__main__"],
]
RANK = {name: (row, column) for row, names in enumerate(ORDER) for column, name in enumerate(names)}


def module_of(path: Path) -> str:
    """The name below colorlib: "lab", "sources.photos", "sources" for the room's own door."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imported_modules(source: str) -> set[str]:
    """The project's own modules that a source imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are written from colorlib on"
            base, names = node.module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            base, names = "", [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            whole = f"{base}.{name}".strip(".")
            if whole.split(".")[0] == "colorlib":
                inside = whole.removeprefix("colorlib").strip(".")
                found.add(inside if inside in RANK else inside.rpartition(".")[0] or "__init__")
    return found


def backward_arrows(name: str, source: str) -> list[str]:
    return [other for other in sorted(imported_modules(source)) if RANK[other] >= RANK[name]]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=module_of)
def test_imports_run_one_way(path):
    name = module_of(path)
    assert name in RANK, f"{name} has no place in the order: add it to ORDER and say why"
    assert backward_arrows(name, path.read_text()) == []


def test_an_arrow_that_runs_back_is_noticed():
    assert backward_arrows("prior", "from colorlib import training") == ["training"]
    assert backward_arrows("lab", "def f():\n    import colorlib.batches") == ["batches"]
    assert backward_arrows("models", "from colorlib.evaluation import table1") == ["evaluation"]
    assert backward_arrows("sources.files", "from colorlib.sources import prepare") == ["sources"]
    assert backward_arrows("training", "from colorlib import lab\nfrom colorlib.sources import files") == []


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
    code = "import sys, colorlib, colorlib.settings, colorlib.course.colab; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert not heavy & set(loaded.stdout.split())


def test_only_settings_reads_the_environment_and_only_it_and_colab_name_colab():
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text()
        if path.stem != "settings":
            assert 'environ.get("COLORLIB' not in source and 'getenv("COLORLIB' not in source, path.name
        if path.stem not in ("settings", "colab"):
            assert "google.colab" not in source, path.name


def test_every_module_imports_on_windows():
    """Modules and functions that Windows has not are taken away; what other packages do with them is done before."""
    modules = [".".join(("colorlib", *module_of(path).split("."))) for path in sorted(PACKAGE.rglob("*.py"))]
    code = f"""if True:
        import importlib, os, sys
        import keras, matplotlib.pyplot, nbclient, numpy, PIL.Image, requests, skimage, sklearn, tensorflow, tqdm.auto
        for name in ("fcntl", "grp", "posix", "pwd", "resource", "termios"):
            sys.modules[name] = None
        for name in ("fork", "getuid", "posix_fadvise", "sched_getaffinity", "statvfs", "sysconf"):
            delattr(os, name)
        for module in {[module.removesuffix(".__init__") for module in modules]}:
            importlib.import_module(module)
        """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stderr[-1500:]
