"""A reader's own photos, as notebook 08's form names them: a path, a folder, an address, an upload."""

import urllib.parse
from pathlib import Path

import requests
import skimage.data
from PIL import Image

from colorlib import ColorlibError
from colorlib.course import colab
from colorlib.settings import is_colab
from colorlib.sources import files, photos, sample


def gather(source: str, settings) -> list[Path]:
    """The photos that a reader means by `source`: notebook 08's form.

    "": a photo that is black-and-white, scikit-image's, and the first two buildings among the sample's test photos, of
    those without conditions on their use. No model has learned from them; only their lightness is looked at.
    "upload": from one's own computer, see `colab.upload`. An address (http…): downloaded. Else the path of a photo or a
    folder, on Drive too. Raises `ColorlibError` when there is no photo there.
    """
    folder = settings.data_folder / "yours"
    if not source:
        rows = [row for row in sample.credits() if (row["part"], row["class"]) == ("test", "building")]
        rows = [row for row in rows if row["licence"] in sample.FREE]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(skimage.data.camera()).save(folder / "camera.png")
        return [folder / "camera.png", *(sample.FOLDER / row["file"] for row in rows[:2])]
    if source == "upload":
        return colab.upload(folder)
    if source.startswith(("http://", "https://")):
        return [_downloaded(source, folder)]
    path = Path(source).expanduser()
    try:
        found = photos.find(path)
    except OSError:
        where = " Photos on Drive lie in /content/drive/MyDrive: is it mounted?" if is_colab() else ""
        raise ColorlibError(f"There is no photo or folder {source}.{where}") from None
    if not found.photos:
        raise ColorlibError(f"There is no photo in {source}, by the names of its files.\n{found}")
    return [path]


def first(paths: list[Path]) -> photos.Photograph:
    """The first photo of what `gather` gave that can be read; those passed over are named. Raises `ColorlibError`
    where none is."""
    if not paths:
        raise ColorlibError("No photo is chosen yet. Pick one with the button above, then run this cell again.")
    for found in map(photos.find, paths):
        print(found, end="\n" * bool(found.left_out))
        for photo in found.photos:
            try:
                return photos.read_whole(photo)
            except (photos.PhotoError, photos.OutOfMemory) as error:
                print(f"{photos.shown(photo.name)} is passed over: {error}.")
    raise ColorlibError("No photo of these can be read. Choose another one above, then run this cell again.")


def _downloaded(address, folder):
    try:
        # Some servers, Wikimedia's among them, refuse clients that do not say who they are.
        response = requests.get(address, timeout=30, headers={"User-Agent": "colorlib, a course on colorization"})
        response.raise_for_status()
    except requests.RequestException as error:
        raise ColorlibError(f"{address} could not be downloaded: {error}") from None
    path = folder / (Path(urllib.parse.unquote(urllib.parse.urlparse(address).path)).name or "photo")
    files.put(path, response.content)
    return path
