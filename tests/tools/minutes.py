"""How long a reader takes for each section of the notebooks: estimated, written below its heading, and summed.

    python tests/tools/minutes.py          REWRITES the minutes in the notebooks' .py halves, and prints the sums

The estimate: 150 words a minute, half a minute for a code cell and what it shows, four minutes for an exercise; folded
parts and the time that cells run are left out. `OPTIONAL` before the minutes is written by hand, and stays.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
OPTIONAL = "Optional reading, but run the cells: later ones need them. "
LINE = re.compile(rf"# \*({OPTIONAL})?About \d+ minutes?\.\*")


def sections(source: str) -> list[list[str]]:
    """The lines of each section, its heading first; the first one is all that stands before a heading."""
    parts = [[]]
    for line in source.splitlines():
        if line.startswith("# ## "):
            parts.append([])
        parts[-1].append(line)
    return parts


def minutes(section: list[str]) -> int:
    words, cells, exercises, is_text, is_folded = 0, 0, 0, True, False
    for line in section:
        if line.startswith("# %%"):
            is_text = "[markdown]" in line
            cells += not is_text
            exercises += '"exercise"' in line
        elif is_text and not LINE.match(line):
            is_folded = (is_folded or "<details>" in line) and "</details>" not in line
            words += 0 if is_folded else len(re.sub(r"\(http\S*\)", "", line[1:]).split())
    return max(1, round(words / 150 + cells / 2 + 4 * exercises))


def timed(source: str) -> tuple[str, int, int]:
    """The source with the minutes below each heading; the minutes of what is a must, and of what is optional."""
    first, *others = sections(source)
    lines, sums = list(first), [minutes(first), 0]
    for section in others:
        heading, *rest = section
        found = next(filter(None, map(LINE.match, rest[:2])), None)
        optional = (found and found.group(1)) or ""
        if found:
            rest = rest[rest.index(found.group()) + 1 :]
        length = minutes(section)
        sums[bool(optional)] += length
        lines += [heading, "#", f"# *{optional}About {length} minute{'s' * (length > 1)}.*"]
        lines += rest if rest and rest[0] in ("#", "") else ["#", *rest]
    return "\n".join(lines) + "\n", *sums


def main() -> None:
    for path in sorted(FOLDER.glob("[0-9]*.py")):
        source, must, optional = timed(path.read_text())
        path.write_text(source)
        print(f"{path.stem}: {must} minutes, and {optional} that are optional")


if __name__ == "__main__":
    main()
