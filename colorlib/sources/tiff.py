"""TIFF as scanners write it: the page that is the photograph, by Pillow where Pillow reads it right.

Pillow takes white for black in gray of more than 8 bits, and 12 bits for 16: that is mended here. A layout that it does
not know, or gets wrong, is refused by its tags. Source: TIFF 6.0.
"""

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from colorlib import ColorlibError

HEADS = (b"II*\0", b"MM\0*", b"II+\0")  # the last one: BigTIFF, which Pillow reads in this order of bytes alone
MAX_PIXELS = 12_000 * 12_000
IS_RAW = "a raw file of a camera: develop it first, as TIFF or JPEG"
# Those that tell about the photograph, not about how the file is laid out: description, maker, ..., EXIF, GPS.
TELLING_TAGS = {270, 271, 272, 274, 305, 306, 315, 33432, 34665, 34853}

_PAGES = 100  # looked at, at the most
_LAYOUT = {254: 0, 256: 0, 257: 0, 258: (1,), 259: 1, 262: None, 281: (65535,), 284: 1, 330: None, 332: 1, 338: ()}
_LAYOUT |= {339: (1,), 530: (2, 2), 50706: None}  # tag -> what holds where a page does not have it


class PhotoError(ColorlibError):
    """Why a file is no photograph that can be read: `str(error)` is the reason, and starts with one of
    "missing", "no permission", "empty", "not an image", "a raw file", "a HEIC photo", "a video",
    "cut short", "too many pixels", "no content", "not read" (a kind of TIFF) or "damaged".
    """


def check_size(width: int, height: int) -> None:
    """Raise `PhotoError` for a photo of more pixels than are read."""
    if width * height > MAX_PIXELS:
        most = f"{width} × {height}, of at most {MAX_PIXELS:,}"
        raise PhotoError(f"too many pixels: {most}; make the picture smaller first")


def open_photo(file, notes: list) -> Image.Image:
    """The page of a TIFF file that is the photograph, open and not yet decoded.

    It is the largest one; a note says so where there are others. Raises `PhotoError` for what is not read.
    """
    pages = _pages(file)
    whole = [page for page in pages if not page[254] & 5] or pages  # neither a reduced copy nor a mask
    page = max(whole, key=lambda page: page[256] * page[257])
    is_raw = any(page[50706] or page[262] in (32803, 34892) for page in pages)  # DNG; a sensor's pixels
    if is_raw or (page[254] & 1 and page[330]):  # or nothing but a preview, with pages below it
        raise PhotoError(IS_RAW)
    check_size(page[256], page[257])
    kind, bits, compression = page[262], page[258], page[259]
    _refuse(kind is None, "no photometric interpretation (tag 262)")
    _refuse(kind == 2 and len(bits) > 3 and not page[338], "a channel that is not named (tag 338)")
    _refuse(kind == 5 and page[332] != 1, "other inks than CMYK (tag 332)")
    _refuse(page[284] == 2 and max(bits) > 8 and compression == 1, "planes of 16 bits (tag 284), uncompressed")
    is_coarse = kind == 6 and compression not in (6, 7) and page[530] != (1, 1)
    _refuse(is_coarse, "YCbCr of fewer colors than pixels, without JPEG (tag 530)")
    if len(whole) > 1:
        notes.append(f"page {whole.index(page) + 1} of {len(whole)}")
    try:
        image = Image.open(file, formats=["TIFF"])
        image.seek(pages.index(page))
    except (UnidentifiedImageError, SyntaxError, KeyError):
        layout = f"bits {bits} (tag 258) of format {page[339]} (tag 339), photometric interpretation {kind} (tag 262)"
        _refuse(True, f"{layout} and compression {compression} (tag 259)")
    parts = [part for _, part, *_ in image.tile]
    if sum((right - left) * (bottom - top) for left, top, right, bottom in parts) < page[256] * page[257]:
        raise EOFError("fewer strips or tiles than the size of the picture needs")
    return image


def _refuse(is_so: bool, what: str) -> None:
    if is_so:
        raise PhotoError(f"not read: a TIFF with {what}. Save it anew as 8- or 16-bit gray or RGB, uncompressed")


def _pages(file) -> list[dict]:
    """The tags in `_LAYOUT` of each page of an open file."""
    file.seek(0)
    head = file.read(8)
    directory, pages = ImageFileDirectory_v2(head + file.read(8) if head[2] == 43 else head), []
    while directory.next and len(pages) < _PAGES:
        file.seek(directory.next)
        directory.load(file)
        if 256 not in directory:
            raise EOFError("the file ends before the tags of the page")
        pages.append({tag: directory.get(tag, default) for tag, default in _LAYOUT.items()})
    file.seek(0)
    return pages


def light(image: Image.Image) -> np.ndarray:
    """The samples of deep gray as light: of integers 65535 is white, of floating-point numbers 1.

    16 bits may hold fewer: the file says so, or all of them are low.
    """
    gray, tags, top = np.asarray(image), image.tag_v2, 1 if image.mode == "F" else 65535
    if image.mode.startswith("I;16"):
        said = np.max(tags.get(281, 65535))
        tops = (said, 65535) if said in (1023, 4095, 16383) else (255, 1023, 4095, 65535)
        gray = np.rint(gray * (65535 / min(top for top in tops if gray.max() <= top)))
    return top - gray if tags.get(262) == 0 else gray


def refuse_few_levels(image: Image.Image) -> None:
    """Raise `PhotoError` for color of 12 bits in 16, of which Pillow keeps the upper 8: the picture is all dark."""
    if max(image.tag_v2.get(258, (1,))) == 16 and image.mode in ("RGB", "CMYK"):
        most = max(top for _, top in image.getextrema())
        said = np.max(image.tag_v2.get(281, 65535))
        _refuse(0 < most <= 15 or (most <= 63 and said == 16383), "color of less than 16 bits in 16 (tag 281)")
