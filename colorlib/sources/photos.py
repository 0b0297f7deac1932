"""What is a photograph in a folder, and any one photograph to upright sRGB, or a named reason why not.

Memory: a photo of n pixels needs about 12 n bytes while it is read, and one of more than `tiff.MAX_PIXELS` is refused
by its header, before anything is decoded: never more than about 1.7 GB, whatever a file claims to be.
"""

import collections
import contextlib
import dataclasses
import functools
import io
import os
import re
import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from colorlib import ColorlibError
from colorlib.sources import tiff
from colorlib.sources.tiff import PhotoError

# EPS and PostScript run a program, WMF asks Windows, and the others are names without a decoder.
_NEVER = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
FREE_MEMORY = "Close other programs or notebooks (Runtime > Manage sessions), or make the photo smaller"
_DEEP = ("I", "F")  # beginnings of Pillow's modes for gray of 16 or 32 bits, or in floating point
_SRGB = ImageCms.createProfile("sRGB")
_JPEG_PIXELS, _JPEG_END = b"\xff\xda", b"\xff\xd9"  # markers
_JPEG_SEGMENT = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])(..)", re.DOTALL)  # its marker and its length
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of what lists the components
_JPEG_MORE = b"".join(bytes([*range(256), 0xD0 + i]) for i in range(8))  # bytes of all kinds, and restart markers


class OutOfMemory(ColorlibError, MemoryError):
    """A photograph that may be whole, but that this machine has no memory to read now."""


@dataclasses.dataclass(frozen=True)
class Photograph:
    """All that a file tells of a photograph."""

    image: Image.Image  # upright, sRGB, mode "RGB"; transparency not applied
    gray: np.ndarray | None  # uint16 (height, width), sRGB-encoded: gray of more than 8 bits a pixel at its full depth
    alpha: Image.Image | None  # upright, mode "L", where the file has transparency
    metadata: dict  # for `Image.save(..., "PNG", **metadata)`, what there is of "exif" (orientation reset), "dpi" and
    #                 "pnginfo": all texts, XMP among them
    notes: tuple[str, ...]  # what the reader of the result should know: "the first of several frames", ...


# Which files of a folder are photographs. The first three kinds that are none could be had, and say how.

RAW = "raw files of a camera, which must be developed first, as TIFF or JPEG"
HEIC = "HEIC photos, which need `pip install pillow-heif`, or must be saved as JPEG"
LOCKED = "folders that may not be read, unless their owner permits it"
SYSTEM = "previews and hidden files of other programs"
SPECIAL = "links to folders, pipes, devices and sockets"  # to open one may lead in circles, or wait forever
OTHER = "other files"
PHOTOS, FOLDERS = "photos", "folders"
# Kinds are told by their endings: a look into every file would take hours where a folder lies on a network.
_ENDINGS = {
    PHOTOS: (
        "jpg jpeg jpe jfif mpo png apng tif tiff webp avif avifs gif bmp dib jp2 j2k j2c jpc jpf jpx ppm pgm pbm pnm "
        "pfm psd tga pcx sgi ras qoi"
    ),
    HEIC: "heic heif heics heifs hif",
    RAW: (
        "dng cr2 cr3 crw nef nrw arw sr2 srf srw raf orf ori rw2 rwl pef ptx raw x3f 3fr fff iiq mef mos erf dcr kdc "
        "mrw gpr"
    ),
    "videos": "mov mp4 m4v avi mkv webm mpg mpeg mts m2ts 3gp 3g2 wmv insv lrv",
    "notes of cameras and programs on photos": "aae thm xmp json xml pp3 dop cos on1 lrcat vrd",
    SYSTEM: "db ini lrdata lrprev",
}
_KINDS = {f".{ending}": kind for kind, endings in _ENDINGS.items() for ending in endings.split()}
# Where servers, archives and systems keep small copies and what was deleted; so does any folder with a dot in front.
_SYSTEMS = {"@eadir", "@recycle", "#recycle", "$recycle.bin", "__macosx", "lost+found", "system volume information"}


@dataclasses.dataclass(frozen=True)
class Found:
    """What a folder holds: its photos, and all else by kind (`RAW`, `HEIC`, "videos", ...); sorted by path."""

    photos: tuple[Path, ...]
    left_out: dict[str, tuple[Path, ...]]

    def __str__(self) -> str:
        """What was left out, one line a kind: how many, and the first of them; "" if there is nothing."""
        lines = []
        for kind, paths in sorted(self.left_out.items()):
            names = ", ".join(shown(path.name) for path in paths[:3]) + ", …" * (len(paths) > 3)
            lines.append(f"  left out, {kind}: {len(paths):,} ({names})")
        return "\n".join(lines)


def find(source: Path | str) -> Found:
    """The photos in a folder and its subfolders, told by the endings of their names; nothing is opened.

    Left out and listed by kind: what other programs and systems keep beside photos, hidden files among it (a folder of
    such previews counts as one), links to folders, everything else that is no photo by its ending, and HEIC photos
    where pillow-heif is not installed. A single file that somebody names is a photo, too, where its ending tells
    nothing. Raises OSError where there is nothing or the disk fails; a subfolder without permission is left out.
    """
    source, by_kind = Path(source), collections.defaultdict(list)

    def not_listed(error: OSError):
        if isinstance(error, PermissionError) and Path(error.filename) != source:
            by_kind[LOCKED].append(Path(error.filename))
        elif isinstance(error, NotADirectoryError) and Path(error.filename) == source:
            by_kind[PHOTOS if kind_of(source) == OTHER else kind_of(source)].append(source)
        else:
            raise error

    for parent, subfolders, names in os.walk(source, onerror=not_listed):
        kinds = {path: kind_of(path) for path in (Path(parent, name) for name in (*subfolders, *names))}
        subfolders[:] = [path.name for path, kind in kinds.items() if kind == FOLDERS]
        for path, kind in kinds.items():
            by_kind[kind].append(path)
    by_kind = {kind: tuple(sorted(paths, key=Path.as_posix)) for kind, paths in by_kind.items() if kind != FOLDERS}
    return Found(by_kind.pop(PHOTOS, ()), by_kind)


def kind_of(path: Path) -> str:
    """`PHOTOS`, `FOLDERS`, or the kind of what is left out, such as `RAW`."""
    if path.name.startswith(".") or path.name.lower() in _SYSTEMS or path.suffix.lower() == ".lrdata":
        return SYSTEM
    kind = _KINDS.get(path.suffix.lower(), OTHER)
    with contextlib.suppress(OSError):  # a link to nowhere, say: its reason is told where it is read
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return SPECIAL if path.is_symlink() else FOLDERS
        kind = kind if stat.S_ISREG(mode) else SPECIAL
    return PHOTOS if kind == HEIC and reads_heic() else kind


@functools.cache
def reads_heic() -> bool:
    """Whether HEIC photos can be read: by pillow-heif, where it is installed."""
    try:
        import pillow_heif
    except (ImportError, OSError):  # not there, or made for another machine
        return False
    pillow_heif.register_heif_opener()
    return True


def shown(path: Path | str) -> str:
    """A path as it can be printed: bytes of a name that are no UTF-8 become �."""
    return os.fsencode(path).decode("utf-8", "replace")


# One photograph.


def read(source, ratio: int = 1) -> Image.Image:
    """The photograph upright, in sRGB, mode "RGB", 8 bits a channel.

    source: a path, or the file's bytes. The EXIF orientation is applied; CMYK, palettes, Lab and 16-bit gray are
    converted, with the file's ICC profile where it has one; transparent pixels are laid over white, as on a printed
    page; of an animation comes the first frame. ratio: see `read_whole`. Raises `PhotoError` with the reason when the
    file cannot be read.
    """
    photo = read_whole(source, ratio)
    if photo.alpha is None:
        return photo.image
    return Image.composite(photo.image, Image.new("RGB", photo.image.size, "white"), photo.alpha)


def read_whole(source, ratio: int = 1) -> Photograph:
    """The same photograph with what `read` leaves behind: full-depth gray, transparency, metadata and notes.

    ratio: 8 reads an eighth of a JPEG's rows and columns, in a tenth of the time.
    """
    with _opened(source) as (image, data, notes):
        _reduced(image, ratio).load()
        _refuse_missing_rows(image, data, ratio)
        profile = image.info.get("icc_profile")
        exif = _exif_of_turned(image, notes)
        colors, alpha = _colors_and_alpha(image)
        if alpha is not None and not alpha.getbbox():
            raise PhotoError("no content: every pixel is transparent")
        if image.mode.startswith(_DEEP):
            rgb, gray = _deep_to_srgb(image, profile, notes)
        else:
            rgb, gray = _to_srgb(colors, profile, notes), None
        return Photograph(rgb, gray, alpha, _metadata(image, exif), tuple(notes))


def is_plain(source) -> bool:
    """Whether training can use the file as it is: a JPEG or PNG, 8-bit gray or RGB, in which its decoder (in `batches`)
    sees what `read` gives, at most one level apart: upright, in sRGB, whole, nothing transparent.

    False as well where its decoder refuses a file of which `read` saves something.
    """
    import tensorflow as tf  # here, because nothing else in this module needs it

    with _opened(source) as (image, data, _):
        if image.format not in ("JPEG", "MPO", "PNG") or image.mode not in ("L", "RGB"):
            return False
        # An eighth of the pixels needs all of the bytes; but a last scan may hold details alone, which do not show.
        ratio = 8 if image.format != "PNG" and _scans(data) == 1 else 1
        try:
            decoded = tf.io.decode_jpeg(data, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE").numpy()
        except tf.errors.InvalidArgumentError:
            return False
        pixels = np.asarray(read(data, ratio), np.int16)
        return pixels.shape == decoded.shape and bool((np.abs(pixels - decoded) <= 1).all())


@contextlib.contextmanager
def _opened(source):
    """(image, the file's bytes, notes): an image, open but not yet decoded. Whatever Pillow raises, here or in the
    block, leaves as a `PhotoError`, but for `OutOfMemory`."""
    notes = []
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our limit of pixels is another, and a broken tag raises where it matters
            with _open(data, notes) as image:
                yield image, data, notes
    except PhotoError:
        raise
    except MemoryError as error:
        raise OutOfMemory(f"There is no memory left to read the photo. {FREE_MEMORY}.") from error
    except Exception as error:  # Pillow's parsers let through whatever they meet: IndexError, SyntaxError, ...
        raise PhotoError(_reason(error)) from error


def _open(data: bytes, notes: list) -> Image.Image:
    if not data:
        raise PhotoError("empty: the file has no bytes")
    if data.startswith(tiff.HEADS):
        return tiff.open_photo(io.BytesIO(data), notes)
    if data.startswith(b"\xff\xd8"):  # a JPEG, of which the end marker may be all that it lacks
        data += _JPEG_END
    Image.init()
    reads_heic()
    try:
        image = Image.open(io.BytesIO(data), formats=[name for name in Image.OPEN if name not in _NEVER])
    except UnidentifiedImageError:
        reason = next(reason for beginning, reason in _BEGINNINGS if re.match(beginning, data, re.DOTALL))
        raise PhotoError(reason) from None
    tiff.check_size(*image.size)
    if getattr(image, "is_animated", False):
        notes.append("the first of several frames")
    return image


# Words of Pillow and of struct.
_CUT_SHORT = "truncated|unexpected end|not enough|buffer is not large|requires a buffer|eof|incomplete|no more data"
_BEGINNINGS = (  # of files that Pillow cannot open
    (rb"....ftyp(hei|hev|mif1|msf1)", "a HEIC photo: install the package pillow-heif, or save it as JPEG"),
    (rb"....ftypcrx |FUJIFILM|II(RO|RS|U\x00)|MMOR|\x00MRM|FOVb|II.\x00....HEAP", tiff.IS_RAW),
    (rb"....ftypavi|\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|BM", "damaged (in its first bytes)"),
    (rb"....ftyp|RIFF....AVI |\x1a\x45\xdf\xa3|\x00\x00\x01\xba", "a video, not a photo"),
    (rb"", "not an image of a kind that Pillow reads"),
)


def _reason(error: Exception) -> str:
    """What an exception means for a file."""
    if isinstance(error, FileNotFoundError):
        return "missing: there is no such file"
    if isinstance(error, PermissionError):
        return "no permission to read the file"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels; make the picture smaller first"
    if isinstance(error, EOFError) or re.search(_CUT_SHORT, str(error), re.IGNORECASE):
        return "cut short: the file ends before the picture does"
    return f"damaged ({type(error).__name__})"


def _reduced(image: Image.Image, ratio: int) -> Image.Image:
    """The same image, which if it is a JPEG will be decoded to a `ratio`-th of its rows and columns."""
    if ratio > 1:
        image.draft(None, (max(1, image.width // ratio), max(1, image.height // ratio)))
    return image


def _refuse_missing_rows(image: Image.Image, data: bytes, ratio: int) -> None:
    """Raise `PhotoError` where a JPEG or PNG, decoded, lacks rows, or a JPEG of several scans its details or colors.

    They may be missing though the file has an end: a program that repairs memory cards may have put it there. The last
    pixel is then what decoders leave where nothing was decoded: in a PNG black, in a JPEG mid gray. Such a file is
    decoded once more: a JPEG with more bytes before its end marker, a PNG into a picture that is not black. That
    changes one that lacks something, and no other. What may pass: a JPEG cut in its very last block of 16 × 16 pixels.
    """
    corner = np.array(image.getpixel((image.width - 1, image.height - 1)))
    is_jpeg = image.format in ("JPEG", "MPO")
    scans = _scans(data) if is_jpeg else 0
    if is_jpeg and not scans:
        raise PhotoError("cut short: the last details of the picture are missing")
    if image.format == "PNG" and not corner.any():
        again = Image.open(io.BytesIO(data))
        again.im = Image.new(again.mode, again.size, 1).im
    elif scans > 1 or (is_jpeg and np.isin(corner, (127, 128)).all()):
        end = data.rfind(_JPEG_END) if data.rfind(_JPEG_END) > data.rfind(_JPEG_PIXELS) else len(data)
        again = _reduced(Image.open(io.BytesIO(data[:end] + _JPEG_MORE + _JPEG_END)), ratio)
    else:
        return
    if again.tobytes() != image.tobytes():
        raise PhotoError("cut short: the last rows of the picture are missing")


def _scans(data: bytes) -> int:
    """The number of scans that a JPEG is made of; 0 where they, by their headers, do not hold all of the picture.

    One may hold all, or one color each, or, as in a progressive JPEG, a few coefficients each, even a few bits of them:
    cut between two scans, it decodes to a picture without colors or details.
    """
    missing, scans, position, is_progressive = {}, 0, 0, False
    while segment := _JPEG_SEGMENT.search(data, position):
        marker, position = segment[1][0], segment.end() - 2 + int.from_bytes(segment[2])
        body = data[segment.end() : position]
        if marker in _JPEG_FRAMES:
            is_progressive = marker % 4 == 2
            missing = {component: set(range(64)) for component in body[6::3]}
        elif segment[0].startswith(_JPEG_PIXELS):
            scans += 1
            first, last, bits = body[-3:]
            done = range(first, last + 1) if bits % 16 == 0 else ()  # otherwise, the last bits of them follow later
            for component in missing.keys() & set(body[1:-3:2]):
                missing[component].difference_update(done if is_progressive else range(64))
            if not any(missing.values()):
                return scans
        elif segment[0].startswith(_JPEG_END):
            break
    return 0


# What else a file tells.


def _exif_of_turned(image: Image.Image, notes: list) -> bytes:
    """Turn the image upright; its EXIF data without the orientation, b"" if there are none. Broken ones are noted."""
    note = "its EXIF data are unreadable: they were dropped, and it was not turned"
    try:
        image.getexif().get(ExifTags.Base.Orientation)
        note = "its EXIF data are unreadable, and were dropped"
        ImageOps.exif_transpose(image, in_place=True)  # raises where a tag is broken, with the image upright by then
        exif = image.getexif()
        exif.pop(ExifTags.Base.Orientation, None)
        return exif.tobytes() if len(exif) else b""
    except MemoryError:
        raise
    except Exception:  # whatever a broken tag raises
        notes.append(note)
        return b""


def _metadata(image: Image.Image, exif: bytes) -> dict:
    """What `Image.save` should be given to keep in a PNG: EXIF and XMP without orientation, resolution and texts."""
    kept = {"pnginfo": PngImagePlugin.PngInfo()} | ({"exif": exif} if exif else {})
    dpi = image.info.get("dpi")
    if isinstance(dpi, tuple) and len(dpi) == 2 and all(1 < float(d) < 65536 for d in dpi):
        kept["dpi"] = tuple(float(d) for d in dpi)
    texts = {key: image.info.get(key, text) for key, text in getattr(image, "text", {}).items()}
    for key, name in (("xmp", "XML:com.adobe.xmp"), ("comment", "Comment")):
        if isinstance(image.info.get(key), bytes):
            texts.setdefault(name, image.info[key].decode("utf-8", "replace"))
    for name, text in texts.items():
        kept["pnginfo"].add_itxt(name, text)
    return kept


# Colors.


def _colors_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colors in one of the modes that profiles speak of, L, RGB, CMYK or LAB; the transparency, as mode "L"."""
    is_clear = image.has_transparency_data
    if image.mode.startswith(_DEEP):
        seen = np.asarray(image) != image.info.get("transparency")
        return image, Image.fromarray(np.where(seen, 255, 0).astype(np.uint8)) if is_clear else None
    if image.mode in ("L", "RGB", "CMYK", "LAB") and not is_clear:
        return image, None
    image = image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
    return image.convert(image.mode[:-1]), image.getchannel("A") if is_clear else None


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list) -> Image.Image:
    """Mode "RGB" in sRGB, of an image in L, RGB, CMYK or LAB, through its ICC profile where it has a usable one."""
    if image.mode == "LAB":
        return ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), _SRGB, outputMode="RGB")
    if profile is not None and not _is_srgb(profile, image.mode):
        if converted := _converted(image, profile):
            return converted
        notes.append("its color profile is unusable, so sRGB was assumed")
    return image.convert("RGB")


def _converted(image: Image.Image, profile: bytes) -> Image.Image | None:
    """The image in sRGB; None where the profile is broken, or of another kind of image."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


@functools.lru_cache(maxsize=64)
def _is_srgb(profile: bytes, mode: str) -> bool:
    """Whether the profile moves no color of an image in this mode by more than one level."""
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    image = Image.fromarray(colors).convert(mode)
    seen = _converted(image, profile)
    return seen is not None and np.abs(np.subtract(seen, image.convert("RGB"), dtype=int)).max() <= 1


def _deep_to_srgb(image: Image.Image, profile: bytes | None, notes: list) -> tuple[Image.Image, np.ndarray]:
    """Gray of more than 8 bits in sRGB's encoding: as mode "RGB", and as uint16, (height, width), 65535 being white.

    A profile is applied as a curve through its 256 levels, straight in between.
    """
    gray = np.asarray(image)
    if image.mode == "F":
        gray = np.rint(gray * np.float32(65535))
    if not (gray.min() >= 0 and gray.max() <= 65535):  # true for NaN as well
        raise PhotoError("damaged (gray values outside of black and white)")
    ramp = _to_srgb(Image.fromarray(np.arange(256, dtype=np.uint8)[None]), profile, notes)
    curve = np.interp(np.arange(65536), np.arange(256) * 257, np.asarray(ramp)[0, :, 0] * 257.0)
    gray = np.rint(curve).astype(np.uint16).take(gray.astype(np.uint16))
    return Image.fromarray(((gray.astype(np.uint32) + 128) // 257).astype(np.uint8)).convert("RGB"), gray
