"""One packed file a split, in a folder that outlasts the session (Drive): photos never lie there one by one."""

import contextlib
import hashlib
import tarfile
from pathlib import Path

from colorlib import ColorlibError
from colorlib.settings import Settings
from colorlib.sources import files, http, tar
from colorlib.sources.splits import PARTS, Photo, Split, store


def place(settings: Settings, name: str, fraction: float) -> Path | None:
    """Where the packed file of a data set is or will be; None without a folder that outlasts the session.

    Raises `ColorlibError` where that folder cannot be had, such as a mount that has vanished.
    """
    folder = settings.keep_folder
    if folder is None:
        return None
    with files.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}-{fraction:g}-seed{settings.seed}.tar"


def save(split: Split, pack: Path, progress: bool = True) -> None:
    """Keep split.json and its photos as one file, in the order of the split. Written whole or not at all.

    Where that fails, it is said and work goes on: the photos are on this machine, only the next one has to get them
    again.
    """
    photos = [photo for part in PARTS for photo in split.photos(part)]
    size = sum(photo.bytes + 1024 for photo in photos)
    partial = pack.with_name(f"{pack.name}.partial")  # one name: what a killed run left is written over
    try:
        files.require_space(pack.parent, size, pack.name)
        with files.disk_errors(pack.parent):
            with tarfile.open(partial, "w") as archive:
                archive.add(split.home / "split.json", "split.json", filter=_bare)
                with http.bar(total=size, desc=f"packing {pack.name}", disable=not progress) as bar:
                    for photo in photos:
                        archive.add(split.folder / photo.path, f"photos/{photo.path}", filter=_bare)
                        bar.update(photo.bytes)
            partial.replace(pack)
    except ColorlibError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        print(f"{pack.name} could not be kept, and another machine will have to get the photos again. {error}")


def _bare(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The member without its time and owner, so that the same split gives the same file."""
    return member.replace(mtime=0, uid=0, gid=0, uname="", gname="", deep=False)


def restore(pack: Path, home: Path, progress: bool = True) -> None:
    """What a packed file holds, each photo verified by the split.json in it. A damaged one is told of and deleted."""
    size, partial, missing = pack.stat().st_size, home / "split.json.partial", None
    print(f"Unpacking {pack.name}, {size / 1e9:.2f} GB.")
    files.require_space(home, size, pack.name)
    try:
        with pack.open("rb") as file, http.bar(total=size, desc=pack.name, disable=not progress) as bar:
            for member, data in tar.members(file, pack.name):
                bar.update(len(data))
                if missing is None:
                    missing = _photos_in(data, partial)
                elif (photo := missing.get(member.name)) and hashlib.sha256(data).hexdigest() == photo.sha256:
                    store(home, photo.path, data, pack.name)
                    del missing[member.name]
        if missing is None or missing:
            raise tar.ArchiveError("photos are missing or not what its split.json says")
    except tar.ArchiveError as error:
        print(f"{pack.name} is damaged ({error}): what is whole is used, the rest is fetched, and it is packed again.")
        pack.unlink()
    if partial.exists() and not (home / "split.json").exists():
        partial.replace(home / "split.json")


def _photos_in(split_json: bytes, partial: Path) -> dict[str, Photo]:
    """The photos of a packed file's split.json by their names in it; kept as `partial` until they are there."""
    files.put(partial, split_json)
    try:
        split = Split.load(partial)
    except ColorlibError as error:
        partial.unlink()
        raise tar.ArchiveError(str(error)) from None
    return {f"photos/{photo.path}": photo for part in PARTS for photo in split.photos(part)}
