"""How large the package is: code lines by room, beside the targets of its design. Exit status 1 above the ceiling.

    python tests/count_lines.py

Docstrings, comments and blank lines do not count. A room is a file of the package, or a folder of it. The first target
is that of the small house, the second has what may be added to it. The package is still above the limit of its design;
until it is below, the ceiling is where it stands, and whoever makes it smaller lowers the ceiling with it.
"""

import ast
import io
import sys
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "colorlib"
LIMIT = 3600
CEILING = 3778
TARGETS = {
    "lab": (95, 95),
    "prior": (110, 110),
    "losses": (45, 110),
    "models": (150, 200),
    "batches": (120, 120),
    "training": (160, 200),
    "evaluation": (220, 220),
    "colorize": (150, 200),
    "figures": (260, 300),
    "settings": (190, 210),
    "sources": (900, 1050),
    "runs": (330, 330),
    "course": (290, 320),
}
SHARED_ROOMS = {"scores": "evaluation", "__main__": "settings", "__init__": "settings"}  # files counted with another
NO_CODE = {getattr(tokenize, kind) for kind in ("COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER")}


def code_lines(source: str) -> int:
    """The number of lines that hold code."""
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in NO_CODE]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - docstrings)


def lines_by_room(package: Path) -> dict[str, int]:
    """Code lines of each room, in the order of the targets; rooms without a target come last."""
    rooms = dict.fromkeys(TARGETS, 0)
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        room = SHARED_ROOMS.get(room, room)
        rooms[room] = rooms.get(room, 0) + code_lines(path.read_text(encoding="utf-8"))
    return rooms


def main() -> int:
    rooms = lines_by_room(PACKAGE)
    print(f"{'room':12} {'lines':>6} {'target':>7} {'later':>6}")
    for room, lines in rooms.items():
        small, later = TARGETS.get(room, ("none", ""))
        print(f"{room:12} {lines:6,} {small:>7} {later:>6}")
    total, targets = sum(rooms.values()), [sum(column) for column in zip(*TARGETS.values(), strict=True)]
    print(f"{'total':12} {total:6,} {targets[0]:7,} {targets[1]:6,}")
    if total > LIMIT:
        print(f"Above the design's limit of {LIMIT:,} by {total - LIMIT:,} lines.")
    if total > CEILING:
        print(f"colorlib has {total:,} lines of code, more than {CEILING:,}: take something away.", file=sys.stderr)
    return int(total > CEILING)


if __name__ == "__main__":
    sys.exit(main())
