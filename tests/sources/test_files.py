"""Files written aside and put in place, whatever happens, on a disk that is full as well."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from colorlib import ColorlibError
from colorlib.sources import files


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.npz"
    files.write_whole(path, b"old")

    def fail(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        files.write_whole(path, b"new and longer")
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["file.npz"]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), files.aside(path) as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["photo.png"]
    with files.aside(path) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == b"old" and part.parent == tmp_path
    assert path.read_bytes() == b"new" and [p.name for p in tmp_path.iterdir()] == ["photo.png"]


def test_a_full_file_system(small_disk):
    path, data = small_disk / "file.npz", os.urandom(130_000)  # a second one has no room beside it
    files.write_whole(path, data)
    with pytest.raises(OSError, match="No space left"):
        files.write_whole(path, os.urandom(160_000))
    assert path.read_bytes() == data and [p.name for p in small_disk.iterdir()] == ["file.npz"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.ENOTCONN, errno.EACCES])
def test_a_disk_that_fails_gives_one_clear_sentence(tmp_path, monkeypatch, number):
    files.put(tmp_path / "finished", b"before")

    def fail(self, data):
        self.touch()
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(ColorlibError, match=f"{os.strerror(number)}.*intact"):
        files.put(tmp_path / "finished", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["finished"]
    assert (tmp_path / "finished").read_bytes() == b"before"


def test_a_real_full_disk(small_disk):
    files.put(small_disk / "deep" / "finished", os.urandom(130_000))
    with pytest.raises(ColorlibError, match=r"No space left on device.*intact"):
        files.put(small_disk / "deep" / "more", os.urandom(160_000))
    assert [path.name for path in (small_disk / "deep").iterdir()] == ["finished"]


def test_a_real_read_only_disk(small_disk):
    files.put(small_disk / "finished", b"before")
    command = ["mount", "-o", "remount,ro", str(small_disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system read-only")
    with pytest.raises(ColorlibError, match=r"Read-only file system.*intact"):
        files.put(small_disk / "finished", b"after")
    assert (small_disk / "finished").read_bytes() == b"before"
