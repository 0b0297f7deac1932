"""Whose badges: owner and repository, written in one place, and rewritten everywhere for a fork.

Needs Python alone, so that a fork can set itself up before anything is installed.
"""

import re
import subprocess
import tomllib
from pathlib import Path

from colorlib import ColorlibError
from colorlib.settings import ROOT

# Every file that may name the repository: pages, notebooks (badges and setup cells), project file.
NAMING = ("*.md", "*.toml", "notebooks/*.*", "data/*.md", ".github/**/*.*")


def repository() -> str:
    """OWNER/REPO of the badges and setup cells: the one place is pyproject.toml's Repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["urls"]["Repository"].removeprefix("https://github.com/")


def fork(name: str = "") -> list[Path]:
    """Write OWNER/REPO of a fork into every badge, setup cell and page, and return the changed files.

    name: "OWNER/REPO"; "" takes that of git's remote `origin`. Raises `ColorlibError` where there is none on GitHub.
    """
    name = name or _origin()
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ColorlibError(f"{name!r} names no repository. Give OWNER/REPO, as in github.com/OWNER/REPO.")
    # In badges, it is colab.research.google.com/github/OWNER/REPO.
    old, changed = re.compile(rf"(github(?:\.com)?/){re.escape(repository())}(?![\w-])"), []
    for path in sorted(path for pattern in NAMING for path in ROOT.glob(pattern) if path.is_file()):
        text = path.read_bytes().decode(errors="surrogateescape")  # pictures, too, come out as they were
        new = old.sub(rf"\g<1>{name}", text)
        if new != text:
            path.write_bytes(new.encode(errors="surrogateescape"))
            changed.append(path)
    return changed


def _origin() -> str:
    done = subprocess.run(["git", "remote", "get-url", "origin"], cwd=ROOT, capture_output=True, text=True)
    found = re.search(r"github\.com[:/](?:\d+/)?([^/\s]+/[^/\s]+?)(?:\.git)?/?$", done.stdout.strip())
    if done.returncode or not found:
        where = f"is {done.stdout.strip()}, not on GitHub" if done.stdout.strip() else "is not set"
        raise ColorlibError(f"Git's remote `origin` {where}. Name the repository: python -m colorlib fork OWNER/REPO")
    return found[1]
