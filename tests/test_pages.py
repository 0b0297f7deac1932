"""The pages beside the notebooks: every badge, relative link, glossary word and section that they name is there."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import jupytext
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / name
    for name in (
        *("README.md", ".github/CONTRIBUTING.md", "data/README.md"),
        *("notebooks/GLOSSARY.md", "notebooks/PAPER.md", "notebooks/TEACHING.md"),
    )
]
SOURCES = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
BADGE = re.compile(r"colab\.research\.google\.com/github/([^/]+/[^/]+)/blob/main/([^)\s]+)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
every_page = pytest.mark.parametrize("page", [*PAGES, *SOURCES], ids=lambda page: page.name)


def repository() -> str:
    """OWNER/REPO of every badge and setup cell: the one place is pyproject.toml's Repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["urls"]) == {"Repository"}
    return project["urls"]["Repository"].removeprefix("https://github.com/")


def prose(page: Path) -> str:
    """A page's text, or a notebook's."""
    if page.suffix == ".md":
        return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return "\n".join(cell.source for cell in jupytext.read(page).cells if cell.cell_type == "markdown")


def headings(text: str) -> list[str]:
    return [re.sub(r"^\d+\. ", "", heading) for heading in HEADING.findall(text)]


def anchor(heading: str) -> str:
    """The address that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def broken_links(page: Path, text: str) -> list[str]:
    """The relative links of a page, or absolute ones into this repository, that lead nowhere."""
    own = f"https://github.com/{repository()}/blob/main/"
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, fragment = link.partition("#")
        if link.startswith(own):
            target = ROOT / path.removeprefix(own)
        elif ":" in link:
            continue
        else:
            target = page.parent / path if path else page
        anchors = (
            {anchor(heading) for heading in HEADING.findall(target.read_text())}
            if fragment and target.exists()
            else {fragment}
        )
        if not target.exists() or fragment not in anchors:
            broken.append(link)
    return broken


@every_page
def test_every_link_leads_somewhere(page):
    assert broken_links(page, prose(page)) == []


def test_a_broken_link_is_noticed():
    page = ROOT / "notebooks" / "PAPER.md"
    text = (
        "[a](GLOSSARY.md#lab) [b](GLOSSARY.md#no-such-word) [c](09_no.ipynb) [d](https://example.org) [e](../README.md)"
    )
    assert broken_links(page, text) == ["GLOSSARY.md#no-such-word", "09_no.ipynb"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_section_named_is_in_its_notebook(page):
    named = re.findall(r"\]\((?:\w+/)?(\d\d_\w+)\.ipynb\)\s\*([^*\n]+(?:\n[^*\n]+)?)\*", page.read_text())
    for notebook, section in named:
        section = " ".join(section.split())
        there = headings(prose(ROOT / "notebooks" / f"{notebook}.py"))
        assert section in there, f"{page.name}: {notebook} has no section {section!r}, but {there}"
    assert named or page.name not in ("PAPER.md", "TEACHING.md")


@every_page
def test_every_badge_points_to_its_own_file_in_the_one_repository(page):
    found = BADGE.findall(page.read_text())
    assert {repository for repository, _ in found} <= {repository()}
    if page.suffix == ".py":
        assert [path for _, path in found] == [f"notebooks/{page.stem}.ipynb"], "one badge, its own"
    if page == ROOT / "README.md":
        first, *badges = [path for _, path in found]
        assert first == "notebooks/08_colorize_your_photos.ipynb", "one photo in color comes first"
        assert badges == [f"notebooks/{source.stem}.ipynb" for source in SOURCES]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_setup_cell_fetches_the_one_repository(source):
    setup = next(cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code")
    assert f'url = "https://github.com/{repository()}"' in setup
    for field in ("PROFILE", "DATA", "USE_DRIVE"):
        assert re.search(rf"^{field} = .* # @param ", setup, re.MULTILINE), f"a form field for {field}"


def test_the_glossary_has_each_word_once_and_in_short():
    text = (ROOT / "notebooks" / "GLOSSARY.md").read_text()
    words = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert len(words) == len(set(words)) >= 24
    for word, entry in re.findall(r"^### (.+?)\n\n(.+?)(?=\n\n#|\s*\Z)", text, re.MULTILINE | re.DOTALL):
        assert 40 < len(entry) < 420, f"{word}: two or three sentences"


def test_the_picture_is_small():
    pictures = [
        ROOT / link for link in re.findall(r"!\[[^\]]+\]\((\.github/[^)]+)\)", (ROOT / "README.md").read_text())
    ]
    assert len(pictures) == 1 and pictures[0].stat().st_size <= 150_000


def test_colabs_packages_meet_every_lower_bound():
    """The versions of Colab's runtime that the workflow tests with; what it does not list is left to pip."""
    lines = (ROOT / "tests" / "colab-constraints.txt").read_text().splitlines()
    colab = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if needed := line.partition("#")[0].strip():
            needed = Requirement(needed)
            assert needed.name not in colab or Version(colab[needed.name]) in needed.specifier
            assert metadata.version(needed.name) and str(needed.specifier).startswith(">="), "lower bounds only"


def copy_of_the_project(folder: Path) -> Path:
    """The project's files as they are now, in a repository of their own."""
    listed = subprocess.run(["git", "ls-files", "-zco", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.rstrip("\0").split("\0"):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    return folder


@pytest.mark.skipif(not shutil.which("perl"), reason="needs perl, which README's line calls")
def test_a_renamed_fork_passes_its_own_tests(tmp_path):
    """A test named the folder of the first repository; every fork failed it."""
    fork = copy_of_the_project(tmp_path / "their-course")
    line = re.search(r"^git grep .*YOU/YOUR-FORK.*$", (ROOT / "README.md").read_text(), re.MULTILINE)[0]
    line = line.replace("colorization-course/colorization-course", repository())
    subprocess.run(line.replace("YOU/YOUR-FORK", "someone/their-course"), shell=True, cwd=fork, check=True)
    left = subprocess.run(["git", "grep", "-Il", repository()], cwd=fork, capture_output=True, text=True).stdout
    assert left == ""
    tests = "tests/test_pages.py tests/course/test_setup_cell.py -q -p no:cacheprovider -k"
    chosen = "badge or repository or setup_cell or link or fresh or copy"
    command = [sys.executable, "-m", "pytest", *shlex.split(tests), chosen]
    done = subprocess.run(command, cwd=fork, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


FAKE_PYTHON = """#!/bin/sh
echo "$0 $*" >> called
echo "$COLORLIB_RESULTS" >> results
made="${COLORLIB_RESULTS:-.}/notebooks" && mkdir -p notebooks "$made" && touch "$made/01.ipynb"
"""


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("target", ["run", "test", "pair", "sync"])
def test_make_works_in_a_path_with_a_space(target, tmp_path):
    """It had cut the path at the space."""
    folder = tmp_path / "my course"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "01.py").touch()
    for name in ("Makefile", "requirements.txt", "tests/requirements.txt"):
        shutil.copyfile(ROOT / name, folder / name)
    for tool in ("python", "ruff"):
        (folder / ".venv" / "bin" / tool).write_text(FAKE_PYTHON)
        (folder / ".venv" / "bin" / tool).chmod(0o755)
    for done in ("for-run", "for-test"):
        (folder / ".venv" / done).touch()
    done = subprocess.run(["make", target], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if target in ("test", "sync"):
        assert (folder / "results").read_text().splitlines()[-1] == str(folder / ".test" / "results")
    calls = {"test": "tests/count_lines.py", "pair": "-m jupytext"}
    assert calls.get(target, "-m colorlib notebooks") in (folder / "called").read_text()
