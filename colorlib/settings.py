"""The settings of a run and their named profiles: the only reader of `COLORLIB_*` environment variables."""

import dataclasses
import math
import os
import typing
from pathlib import Path

from colorlib import ColorlibError

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("baseline", "rebalanced", "efficientnet")
DATA_SETS = ("sample", "places365", "places365-val", "food101", "imagenet")
# The forms of the ladder, as arguments of `models.build_colorizer`. "half" and "quarter" are there to be compared.
FORMS = {
    "paper": {"head_stride": 1, "light": False},  # the head at full size, the ladder as wide as its taps
    "half": {"head_stride": 2, "light": False},
    "quarter": {"head_stride": 4, "light": False},
    "fast": {"head_stride": 2, "light": True},  # and the backbone in half precision where the machine gains by it
}
BACKBONES = ("vgg16", *(f"efficientnetb{i}" for i in range(8)), "mobilenet")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that a run depends on. The defaults are those of the `paper` profile.

    What the paper states is marked so; every other number is a default of ours.
    """

    profile: str = "paper"

    # Data. `data` is a data set's name or a folder of photographs.
    data: str = "places365"
    fraction: float = 0.03  # the paper's 3 %
    mirror: str = ""  # another base address, or a folder where the archives already lie
    data_folder: Path = ROOT / "data"
    results_folder: Path = ROOT / "results"
    keep_folder: Path | None = (
        None  # a second folder that outlasts the session (Drive), for checkpoints and packed photos
    )

    # Batches.
    image_size: int = 224  # the paper's; pixels a side
    batch_size: int = 32  # photos a step, for one replica
    flip: bool = True  # the paper's horizontal flip
    rotation: float = 20.0  # degrees either way; 0 switches it off
    upright_epochs: int = 2  # the last epochs, without rotation: see batches.training
    cache: str = "none"  # decoded photos as uint8: "none", "memory" or "disk"

    # Prior (Eq. 3).
    bin_width: float = 8.0  # ab units
    sigma: float = 5.0  # ab units, of the Gaussian
    lambda_: float = 0.5  # share of the uniform density

    # Models.
    backbone: str = "vgg16"  # of baseline and rebalanced
    efficientnet: str = "efficientnetb7"  # of efficientnet
    weights: str = "imagenet"  # "imagenet", "none" (random, and the notebook says so) or a file
    dropout: float = 0.2  # of efficientnet alone
    form: str = "paper"  # of the ladder: one of `FORMS`; "fast" is several times as fast at the same quality
    dtype: str = "float32"  # Keras' policy: float32, mixed_float16 or mixed_bfloat16

    # Training.
    epochs: int = 10
    # At the start, of Adam. On 3,000 photos, three seeds, 1e-3 has validation MSE 0.00961 and 2e-3 0.00958, within the
    # spread.
    learning_rate: float = 2e-3
    schedule: str = "cosine"  # "cosine" (to zero over all epochs) or "constant" (0.00974 there)
    patience: int = 3  # epochs without a better validation loss before early stopping
    checkpoint_minutes: float = 10.0
    checkpoint_steps: int = 0  # 0: by minutes alone
    distribute: str = "none"  # "none" or "mirrored" (all GPUs of one machine)
    seed: int = 1

    given: frozenset[str] = dataclasses.field(default=frozenset(), compare=False)  # names of fields that no default set

    def backbone_of(self, model: str) -> str:
        """The backbone of one of `MODELS`."""
        check_choice("model", model, MODELS)
        return self.efficientnet if model == "efficientnet" else self.backbone

    def replace(self, **changes) -> "Settings":
        """A copy with some fields changed, checked like the first."""
        return checked(dataclasses.replace(self, **changes, given=self.given | set(changes)))


PROFILES = {
    "sample": Settings(
        profile="sample",
        data="sample",
        fraction=1.0,
        image_size=64,
        batch_size=16,
        cache="memory",
        weights="none",
        efficientnet="efficientnetb0",
        form="fast",
        epochs=6,  # 90 steps: each model then beats gray on its training photos, in half a minute
    ),
    "classroom": Settings(
        profile="classroom", data="places365-val", fraction=1.0, efficientnet="efficientnetb0", epochs=4, form="fast"
    ),
    "paper": Settings(),
}

# Environment variable -> the fields that it sets.
ENVIRONMENT = {
    "COLORLIB_DATA": ("data",),
    "COLORLIB_MIRROR": ("mirror",),
    "COLORLIB_BACKBONE": ("backbone", "efficientnet"),
    "COLORLIB_WEIGHTS": ("weights",),
    "COLORLIB_IMAGE_SIZE": ("image_size",),
    "COLORLIB_EPOCHS": ("epochs",),
    "COLORLIB_FORM": ("form",),
    "COLORLIB_DATA_FOLDER": ("data_folder",),
    "COLORLIB_RESULTS": ("results_folder",),
}


def check_choice(what: str, value: str, valid) -> None:
    """Raise `ColorlibError` naming the valid choices unless `value` is one of them."""
    if value not in valid:
        raise ColorlibError(f"Unknown {what} {value!r}. Valid: {', '.join(map(str, valid))}.")


def load(profile: str = "", *, on_colab: bool = False, **changes) -> Settings:
    """The settings of a profile, changed by the environment and then by `changes`.

    `profile` falls back to `COLORLIB_PROFILE`, then to "auto": classroom on Colab and sample elsewhere.
    Changes that are None or "" leave a field as it is. Other data than the profile's get a results folder of their
    own, results/<name>, where none is chosen. Raises `ColorlibError` on unknown names and impossible values.
    """
    profile = profile or "auto"
    if profile == "auto":
        profile = os.environ.get("COLORLIB_PROFILE") or "auto"
    if profile == "auto":
        profile = "classroom" if on_colab else "sample"
    check_choice("profile", profile, ("auto", *PROFILES))
    fields = {}
    for variable, names in ENVIRONMENT.items():
        if text := os.environ.get(variable, ""):
            fields.update({name: _parse(variable, name, text) for name in names})
    fields.update({name: value for name, value in changes.items() if value not in (None, "")})
    given = frozenset(fields)
    data = fields.get("data", PROFILES[profile].data)
    if data != PROFILES[profile].data:
        # Other photos are another training: their runs must not stand in the place of the profile's own.
        fields.setdefault("results_folder", ROOT / "results" / Path(data).expanduser().resolve().name)
    return checked(dataclasses.replace(PROFILES[profile], **fields, given=given))


def checked(settings: Settings) -> Settings:
    """The settings with their folders absolute. Raises `ColorlibError` naming the first impossible value."""
    check_choice("backbone", settings.backbone, BACKBONES)
    check_choice("backbone", settings.efficientnet, BACKBONES)
    check_choice("form", settings.form, FORMS)
    check_choice("dtype", settings.dtype, ("float32", "mixed_float16", "mixed_bfloat16"))
    check_choice("schedule", settings.schedule, ("cosine", "constant"))
    check_choice("cache", settings.cache, ("none", "memory", "disk"))
    check_choice("distribute", settings.distribute, ("none", "mirrored"))
    for name in ("image_size", "batch_size", "epochs"):
        _require(settings, name, getattr(settings, name) >= 1, "at least 1")
    for name in ("learning_rate", "bin_width"):
        _require(settings, name, 0 < getattr(settings, name) < math.inf, "a positive number")
    _require(settings, "upright_epochs", settings.upright_epochs >= 0, "0 or more")
    _require(settings, "fraction", 0 < settings.fraction <= 1, "above 0 and at most 1")
    _require(settings, "lambda_", 0 <= settings.lambda_ <= 1, "in [0, 1]")
    _require(settings, "sigma", 0 <= settings.sigma < math.inf, "0 or more")
    _require(settings, "dropout", 0 <= settings.dropout < 1, "in [0, 1)")
    _require(settings, "rotation", 0 <= settings.rotation <= 180, "in [0, 180] degrees")
    data = settings.data
    if data not in DATA_SETS and Path(data).expanduser().is_dir():
        data = str(Path(data).expanduser().resolve())
    folders = {
        name: Path(getattr(settings, name)).expanduser().resolve()
        for name in ("data_folder", "results_folder", "keep_folder")
        if getattr(settings, name) is not None
    }
    return dataclasses.replace(settings, data=data, **folders)


def environment(settings: Settings) -> dict[str, str]:
    """The environment variables with which `load` gives these settings in another process and another folder."""
    profile = checked(PROFILES[settings.profile])
    variables = {"COLORLIB_PROFILE": settings.profile}
    for variable, names in ENVIRONMENT.items():
        values = {getattr(settings, name) for name in names}
        if len(values) == 1 and values != {getattr(profile, name) for name in names}:
            variables[variable] = str(values.pop())
    return variables


def _require(settings: Settings, name: str, holds: bool, rule: str) -> None:
    if not holds:
        raise ColorlibError(f"The setting {name} is {getattr(settings, name)!r}; it must be {rule}.")


def _parse(variable: str, name: str, text: str):
    kind = typing.get_type_hints(Settings)[name]
    kind = kind if kind in (int, float, str) else Path
    try:
        return kind(text)
    except ValueError:
        raise ColorlibError(f"{variable}={text!r} is not a number; give one such as {variable}=128.") from None
