"""The backbones' weights: a name or a path becomes a file that was checked, which `models` reads.

box         data/weights, which comes with the project: VGG-16 and EfficientNet-Lite0, trained on ImageNet
imagenet    Keras' own file, downloaded once to Keras' folder
none        random weights, which learn far less
a path      of a file, or of a folder with one file a backbone, <backbone>.npz or <backbone>.h5
"""

import dataclasses
import hashlib
import os
from pathlib import Path

from colorlib import ColorlibError
from colorlib.settings import ROOT

BOX = ROOT / "data" / "weights"
_KERAS = "https://storage.googleapis.com/"
_EFFICIENTNET_MD5 = """
50bc09e76180e00e4465e1a485ddc09d 74c4e6b3e1f6a1eea24c589628592432 111f8e2ac8aa800a7a99e3239f7bfb39
af6d107764bb5b1abb91932881670226 ebc24e6d6c33eaebbd558eafbeedf1ba 38879255a25d3c92d5e44e04ae6cec6f
9ecce42647a20130c1f39a5d4cb75743 cbcfe4450ddf6f3ad90b1b398090fe4a
""".split()  # noqa: SIM905
# Keras' own addresses, and md5 where Keras has one, of the files without the classifier.
_DOWNLOADS = {
    "vgg16": (
        f"{_KERAS}tensorflow/keras-applications/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "6d6bbae143d832006294945121d1f1fc",
    ),
    "mobilenet": (f"{_KERAS}tensorflow/keras-applications/mobilenet/mobilenet_7_5_224_tf_no_top.h5", None),
} | {
    f"efficientnetb{number}": (f"{_KERAS}keras-applications/efficientnetb{number}_notop.h5", md5)
    for number, md5 in enumerate(_EFFICIENTNET_MD5)
}


@dataclasses.dataclass(frozen=True)
class Weights:
    """What a backbone starts from."""

    path: Path | None  # None: random weights
    sha256: str  # of the file; "" for random weights


def resolve(name: str, backbone: str) -> Weights:
    """The weights of a backbone by the setting `weights`.

    Raises `ColorlibError`: the box or a folder has none for this backbone; a download fails; a file is not there.
    """
    if name == "none":
        return Weights(None, "")
    folder = BOX if name == "box" else Path(name).expanduser()
    path = _downloaded(backbone) if name == "imagenet" else _given(folder, backbone)
    with path.open("rb") as file:
        return Weights(path, hashlib.file_digest(file, "sha256").hexdigest())


def _given(path, backbone):
    if path.is_dir():
        names = [f"{backbone}{ending}" for ending in (".npz", ".h5", ".weights.h5")]
        path = next((path / name for name in names if (path / name).is_file()), path)
    if path.is_file():
        return path
    raise ColorlibError(
        f"There are no weights of {backbone} in {path}. Valid: box (comes with the project, for VGG-16 and "
        "EfficientNet-Lite0), imagenet (downloaded by Keras), none (random), the path of a file, or of a folder with "
        f"one file a backbone, such as {backbone}.npz or {backbone}.h5."
    )


def _downloaded(backbone) -> Path:
    """Keras' file of ImageNet weights, from its folder, or downloaded there."""
    import keras

    if backbone not in _DOWNLOADS:
        raise ColorlibError(f"Keras has no weights of {backbone}. Those of the project do: weights=box.")
    address, md5 = _DOWNLOADS[backbone]
    name = address.rpartition("/")[2]
    place = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models" / name
    try:
        return Path(keras.utils.get_file(name, address, cache_subdir="models", file_hash=md5))
    except Exception as error:  # Keras raises plain Exception where a download fails, and ValueError or OSError else
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ColorlibError(
            f"The ImageNet weights of {backbone} could not be had: {reason}. Keras looks for {place}: try again, "
            "or bring the file there from another machine. Weights that come with the project: --weights box "
            "(COLORLIB_WEIGHTS=box); random weights, which learn far less: --weights none."
        ) from error
