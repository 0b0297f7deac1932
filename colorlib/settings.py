"""The settings of a run and their named profiles: the only reader of `COLORLIB_*` environment variables.

A setting is a field of `Settings`, and nothing else: its flag, its variable, their type, the `--help` text and the row
of README's table are derived from it.
"""

# ruff: noqa: RUF009  (`_setting` is dataclasses.field with a setting's metadata)

import dataclasses
import hashlib
import importlib.util
import math
import os
from pathlib import Path

from colorlib import ColorlibError

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("baseline", "rebalanced", "efficientnet", "vivid")
PROFILES = ("sample", "classroom", "paper")
DATA_SETS = ("sample", "places365-val", "places365", "food101", "imagenet")  # of the profiles, and two more
WEIGHTS = ("box", "imagenet", "none")
NAMES = {"", *DATA_SETS, *WEIGHTS}  # these name no file or folder
# The forms of the ladder, as arguments of `models.build_colorizer`.
FORMS = {
    "paper": {"head_stride": 1},  # the head at full size, the ladder as wide as its taps
    # A ladder as wide as its taps takes longer than the backbone under it, most of that at the finest sizes, where a
    # color needs few channels. Here the backbone is in half precision, too, where the machine gains by it.
    "fast": {"head_stride": 2, "widths": (16, 32, 64, 128)},
    "quarter": {"head_stride": 4, "widths": (128, 128, 192, 256)},  # wide where a color is chosen among many
    "small": {"head_stride": 4, "widths": (8, 8, 16, 16)},  # for some hundred photos, which a larger one knows by heart
}
BACKBONES = ("vgg16", *(f"efficientnetb{i}" for i in range(8)), "efficientnetlite0", "mobilenet")

# The commands that a setting concerns.
TRAINING = ("train", "notebooks")
PHOTOS = (*TRAINING, "evaluate")  # those that prepare a split
ALL = (*PHOTOS, "colorize", "runs")

# What a value must be: in words, and as a test that `nan` fails.
ANYTHING = ("", lambda value: True)
AT_LEAST_1 = ("at least 1", lambda value: value >= 1)
AT_LEAST_0 = ("0 or more", lambda value: 0 <= value < math.inf)
POSITIVE = ("above 0", lambda value: 0 < value < math.inf)
SHARE = ("in [0, 1]", lambda value: 0 <= value <= 1)
SHARE_ABOVE_0 = ("above 0 and at most 1", lambda value: 0 < value <= 1)
SHARE_BELOW_1 = ("in [0, 1)", lambda value: 0 <= value < 1)
HALF_TURN = ("in [0, 180]", lambda value: 0 <= value <= 180)


def _one_of(*choices: str) -> tuple:
    return ", ".join(choices[:-1]) + " or " + choices[-1], choices.__contains__


A_BACKBONE = _one_of(*BACKBONES)
# The types of settings, in words; and what a flag's or a variable's text means where its type alone does not tell.
TYPES = {int: "a whole number", float: "a number", bool: "true or false"}
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _setting(default, commands: tuple, text: str, rule: tuple = ANYTHING):
    """A field of `Settings`.

    default: one value, or one for each of `PROFILES`. text: what it sets, with its unit. rule: what it must be.
    """
    values = dict(zip(PROFILES, default if isinstance(default, tuple) else [default] * len(PROFILES), strict=True))
    about = {"commands": commands, "text": text, "rule": rule, "defaults": values}
    return dataclasses.field(default=values["paper"], metadata=about)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that a run depends on. The defaults are those of the `paper` profile.

    What the paper states is marked so; every other number is a default of ours. Folders, and whatever names a file or
    folder that is there, become absolute paths. Raises `ColorlibError` naming the first impossible value.
    """

    profile: str = _setting(PROFILES, ALL, "auto: classroom on Colab, else sample", _one_of(*PROFILES))

    # Data.
    data: str = _setting(DATA_SETS[:3], ALL, f"{', '.join(DATA_SETS)}, or a folder of photos")
    # The paper's 3 %.
    fraction: float = _setting((1.0, 1.0, 0.03), PHOTOS, "share of the data set to take", SHARE_ABOVE_0)
    mirror: str = _setting("", PHOTOS, "another address of the archives, or a folder where they already lie")
    data_folder: Path = _setting(ROOT / "data", PHOTOS, "where photos, splits and priors lie")
    results_folder: Path = _setting(None, ALL, "of runs, tables, figures: results/PROFILE or results/DATA")
    keep_folder: Path = _setting(None, ALL, "a second folder for checkpoints and packed photos, such as Drive")

    # Batches.
    image_size: int = _setting((128, 224, 224), PHOTOS, "side of what the models see, in pixels", AT_LEAST_1)
    batch_size: int = _setting((16, 32, 32), PHOTOS, "photos in a step, on each GPU", AT_LEAST_1)
    flip: bool = _setting(True, TRAINING, "mirror every second training photo")  # the paper's
    rotation: float = _setting((0.0, 20.0, 20.0), TRAINING, "of training photos, degrees either way", HALF_TURN)
    upright_epochs: int = _setting(2, TRAINING, "the last epochs, without rotation", AT_LEAST_0)
    crop: float = _setting((0.2, 1.0, 1.0), TRAINING, "random windows: least share of a photo's side", SHARE_ABOVE_0)
    aging: float = _setting(0.0, TRAINING, "how old the lightness of training photos is made to look", SHARE)

    # Prior (Eq. 3).
    bin_width: float = _setting(8.0, TRAINING, "side of a bin of the prior, in ab units", POSITIVE)
    sigma: float = _setting(5.0, TRAINING, "σ of the prior's Gaussian, in ab units", AT_LEAST_0)
    lambda_: float = _setting(0.5, TRAINING, "λ, the share of the uniform density in Eq. 3", SHARE)

    # Models.
    backbone: str = _setting("vgg16", TRAINING, "that of baseline and rebalanced", A_BACKBONE)
    efficientnet: str = _setting(
        ("efficientnetlite0", "efficientnetb0", "efficientnetb7"),
        TRAINING,
        "that of efficientnet and vivid",
        A_BACKBONE,
    )
    weights: str = _setting(("box", "imagenet", "imagenet"), ALL, f"{', '.join(WEIGHTS)}, a file or a folder of them")
    dropout: float = _setting((0.5, 0.2, 0.2), TRAINING, "of efficientnet and vivid", SHARE_BELOW_1)
    backbone_rate: float = _setting(0.0, TRAINING, "of vivid: updates of its backbone, times this; 0: frozen", SHARE)
    form: str = _setting(("small", "fast", "paper"), TRAINING, "form of the ladder", _one_of(*FORMS))
    dtype: str = _setting("float32", TRAINING, "Keras' policy", _one_of("float32", "mixed_float16", "mixed_bfloat16"))

    # Training.
    epochs: int = _setting((10, 4, 10), TRAINING, "of training, at the most", AT_LEAST_1)
    # On 3,000 photos, three seeds, 1e-3 has validation MSE 0.00961 and 2e-3 0.00958, within the spread.
    learning_rate: float = _setting(2e-3, TRAINING, "of Adam at the start; from there to 0 along a cosine", POSITIVE)
    patience: int = _setting(3, TRAINING, "epochs without a better validation loss before it stops", AT_LEAST_0)
    checkpoint_minutes: float = _setting(10.0, TRAINING, "between two checkpoints", AT_LEAST_0)
    distribute: str = _setting("none", TRAINING, "on one GPU, or on all of a machine", _one_of("none", "mirrored"))
    seed: int = _setting(1, PHOTOS, "of the split, of weights and of batches")

    given: frozenset[str] = dataclasses.field(default=frozenset(), compare=False)  # names of fields that no default set

    def __post_init__(self):
        for name in FIELDS:
            object.__setattr__(self, name, _checked(name, getattr(self, name)))
        if self.results_folder is None:
            folder_name = self.profile if self.own_data else self.data_name
            object.__setattr__(self, "results_folder", ROOT / "results" / folder_name)
        for name in ("data", "mirror", "weights"):
            path = Path(getattr(self, name)).expanduser()
            if getattr(self, name) not in NAMES and os.path.exists(path):  # noqa: PTH110  (no error where a mount is gone)
                object.__setattr__(self, name, str(path.resolve()))

    @property
    def own_data(self) -> bool:
        """Whether the data are those of the profile."""
        return self.data == FIELDS["data"].metadata["defaults"][self.profile]

    @property
    def data_name(self) -> str:
        """The data set's name, or, of a folder of photos, <its name>-<six digits of its path's sha256>.

        `data_folder / data_name` is where everything lies that is made from the data.
        """
        if self.data in DATA_SETS:
            return self.data
        path = os.fsencode(Path(self.data).expanduser().resolve())
        name = os.path.basename(path).decode(errors="replace")  # noqa: PTH119  (TensorFlow opens UTF-8 names alone)
        return f"{name}-{hashlib.sha256(path).hexdigest()[:6]}"

    def backbone_of(self, model: str) -> str:
        """The backbone of one of `MODELS`."""
        check_choice("model", model, MODELS)
        return self.efficientnet if model in ("efficientnet", "vivid") else self.backbone

    def replace(self, **changes) -> "Settings":
        """A copy with some fields changed, checked like the first; they count as given."""
        given = self.given | set(changes)
        if "results_folder" not in given:
            changes["results_folder"] = None  # it follows the data
        return dataclasses.replace(self, **changes, given=given)


FIELDS = {field.name: field for field in dataclasses.fields(Settings) if field.metadata}


def description(name: str) -> str:
    """What a setting sets, what it must be and, in brackets, what it is where nothing is given."""
    about = FIELDS[name].metadata
    text, words, values = about["text"], about["rule"][0], about["defaults"]
    each = ", ".join(f"{profile}: {value}" for profile, value in values.items())
    default = "auto" if name == "profile" else each if len(set(values.values())) > 1 else str(values["paper"] or "")
    return text + f" ({words})" * bool(words) + f" [{default}]" * bool(default)


def flag(name: str) -> str:
    """The flag of a setting: "--image-size" for image_size, "--results" for results_folder."""
    return "--" + ("results" if name == "results_folder" else name.rstrip("_").replace("_", "-"))


def variable(name: str) -> str:
    """The environment variable of a setting: "COLORLIB_IMAGE_SIZE" for image_size."""
    return "COLORLIB_" + flag(name)[2:].replace("-", "_").upper()


def check_choice(what: str, value: str, valid) -> None:
    """Raise `ColorlibError` naming the valid choices unless `value` is one of them."""
    if value not in valid:
        raise ColorlibError(f"Unknown {what} {value!r}. Valid: {', '.join(map(str, valid))}.")


def is_colab() -> bool:
    """Whether this Python runs on Google Colab."""
    try:
        return importlib.util.find_spec("google.colab") is not None
    except (ModuleNotFoundError, ValueError):  # no package `google`, or one that was put together by hand
        return False


def load(profile: str = "", **changes) -> Settings:
    """The settings of a profile, changed by the environment and then by `changes`: values, or texts as from a flag.

    `profile` falls back to `COLORLIB_PROFILE`, then to "auto": classroom on Colab and sample elsewhere.
    Changes that are None or "" leave a field as it is. Raises `ColorlibError` on impossible values.
    """
    variables = {name: os.environ.get(variable(name)) for name in FIELDS}
    profiles = [name for name in (profile, variables.pop("profile")) if name and name != "auto"]
    profile = _checked("profile", [*profiles, "classroom" if is_colab() else "sample"][0])
    given = {name: text for texts in (variables, changes) for name, text in texts.items() if text not in (None, "")}
    defaults = {name: field.metadata["defaults"][profile] for name, field in FIELDS.items()}
    return Settings(**defaults | given, given=frozenset(given))


def environment(settings: Settings) -> dict[str, str]:
    """The environment variables with which `load` gives these settings in another process and another folder."""
    values = {name: getattr(settings, name) for name in ("profile", *sorted(settings.given))}
    return {variable(name): str(value) for name, value in values.items() if value is not None}


def _checked(name: str, value):
    """The value of a setting, of which a flag or variable may give the text. Raises `ColorlibError` if it cannot be."""
    kind, (words, holds) = FIELDS[name].type, FIELDS[name].metadata["rule"]
    try:
        if isinstance(value, str):
            value = BOOLEANS[value.lower()] if kind is bool else kind(value)
        if isinstance(value, Path):
            value = value.expanduser().resolve()
        if holds(value):
            return value
    except (KeyError, ValueError):
        pass
    words = ", ".join(filter(None, (TYPES.get(kind), words)))
    raise ColorlibError(f"The setting {name} is {value!r}; it must be {words} ({flag(name)}, {variable(name)}).")
