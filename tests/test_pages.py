"""The pages beside the notebooks: every badge, relative link, glossary word and section that they name is there."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import jupytext
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from colorlib.course import badges

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
    own = f"https://github.com/{badges.repository()}/blob/main/"
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
    assert {repository for repository, _ in found} <= {badges.repository()}
    if page.suffix == ".py":
        assert [path for _, path in found] == [f"notebooks/{page.stem}.ipynb"], "one badge, its own"
    if page == ROOT / "README.md":
        assert [path for _, path in found] == [f"notebooks/{source.stem}.ipynb" for source in SOURCES]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_setup_cell_fetches_the_one_repository(source):
    setup = next(cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code")
    assert f'url = "https://github.com/{badges.repository()}"' in setup
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


def test_a_fork_can_set_itself_up_before_anything_is_installed():
    code = "import sys; from colorlib import __main__, badges; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"nbformat", "nbclient", "numpy", "packaging"} & set(done.stdout.split())


def test_colabs_packages_meet_every_lower_bound():
    """The versions of Colab's runtime that the workflow tests with; what it does not list is left to pip."""
    lines = (ROOT / "tests" / "colab-constraints.txt").read_text().splitlines()
    colab = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if needed := line.partition("#")[0].strip():
            needed = Requirement(needed)
            assert needed.name not in colab or Version(colab[needed.name]) in needed.specifier
            assert metadata.version(needed.name) and str(needed.specifier).startswith(">="), "lower bounds only"


def test_the_project_names_its_repository_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["urls"] == {"Repository": f"https://github.com/{badges.repository()}"}
