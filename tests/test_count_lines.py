"""The size of the package is counted as its design says."""

import count_lines

SOURCE = '''"""A module.

Of three lines of docstring.
"""

import os  # one


def f(a, b):
    """A docstring."""
    # a comment
    text = """not
    a docstring"""

    return (
        a,
        text,
    )
'''


def test_docstrings_comments_and_blank_lines_do_not_count():
    assert count_lines.code_lines(SOURCE) == 8


def test_every_file_of_the_package_is_in_a_room_with_a_target():
    rooms = count_lines.lines_by_room(count_lines.PACKAGE)
    assert set(rooms) == set(count_lines.TARGETS) and all(rooms.values())


def test_above_the_ceiling_it_fails(monkeypatch, capsys):
    total = sum(count_lines.lines_by_room(count_lines.PACKAGE).values())
    monkeypatch.setattr(count_lines, "CEILING", total)
    assert count_lines.main() == 0 and f"{total:,}" in capsys.readouterr().out
    monkeypatch.setattr(count_lines, "CEILING", total - 1)
    assert count_lines.main() == 1 and "take something away" in capsys.readouterr().err
