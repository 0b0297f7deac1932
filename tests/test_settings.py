"""Profiles, the environment, and what is refused."""

import dataclasses
import importlib.machinery
import os
import sys
import types

import pytest

from colorlib import ColorlibError, settings


@pytest.fixture
def on_colab(monkeypatch):
    """As far as anyone can see, this is Google Colab."""
    for name in ("google", "google.colab"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        module.__path__ = []
        monkeypatch.setitem(sys.modules, name, module)


def test_auto_is_sample_on_a_computer_of_ones_own():
    assert settings.load().profile == settings.load("auto").profile == "sample"


def test_auto_is_classroom_on_colab(on_colab, monkeypatch):
    assert settings.load().profile == settings.load("auto").profile == "classroom"
    assert settings.load("paper").profile == "paper"
    monkeypatch.setenv("COLORLIB_PROFILE", "sample")
    assert settings.load("auto").profile == "sample"


def test_the_paper_profile_is_the_papers():
    paper = settings.load("paper")
    assert (paper.fraction, paper.image_size, paper.form) == (0.03, 224, "paper")
    assert (paper.backbone_of("baseline"), paper.backbone_of("efficientnet")) == ("vgg16", "efficientnetb7")
    assert (paper.weights, paper.aging, paper.backbone_rate) == ("imagenet", 0, 0)
    assert paper == settings.Settings()


@pytest.mark.parametrize("profile", settings.PROFILES)
def test_nothing_counts_as_given_where_nothing_was_given(profile):
    chosen = settings.load(profile)
    assert chosen.given == frozenset() and settings.environment(chosen) == {"COLORLIB_PROFILE": profile}


def other_value(name):
    """The text of a value that the profile `classroom` has not, for any setting."""
    field = settings.FIELDS[name]
    if " or " in field.metadata["rule"][0] and field.type is str:
        choices = field.metadata["rule"][0].replace(" or ", ", ").split(", ")
        return next(choice for choice in choices if choice != field.metadata["defaults"]["classroom"])
    if field.type is bool:
        return str(not field.default)
    if field.type in (int, float):
        shares = (settings.SHARE, settings.SHARE_ABOVE_0, settings.SHARE_BELOW_1)
        return str(field.type(0.25 if field.metadata["rule"] in shares else 7))
    return "/nowhere"


EVERY = [name for name in settings.FIELDS if name != "profile"]


@pytest.mark.parametrize("name", EVERY)
def test_every_setting_is_set_by_variable_and_beaten_by_keyword_and_both_reach_another_process(name, monkeypatch):
    text = other_value(name)
    default = settings.load("classroom")
    monkeypatch.setenv(settings.variable(name), text)
    chosen = settings.load("classroom")
    assert getattr(chosen, name) != getattr(default, name) and chosen.given == {name}
    assert dataclasses.replace(chosen, **{name: getattr(default, name)}) == dataclasses.replace(
        default, results_folder=chosen.results_folder if name == "data" else default.results_folder
    ), "and nothing else is changed"
    carried = settings.environment(chosen)
    monkeypatch.delenv(settings.variable(name))
    for variable, value in carried.items():
        monkeypatch.setenv(variable, value)
    again = settings.load()
    assert again == chosen and again.given == chosen.given
    back = settings.load(**{name: getattr(default, name)})
    assert getattr(back, name) == getattr(default, name) or getattr(default, name) in (None, "")


def test_folders_and_files_stay_themselves_in_another_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "archives", "weights", "out"):
        (tmp_path / name).mkdir()
    chosen = settings.load("sample", data="photos", mirror="archives", weights="weights", results_folder="out")
    assert (chosen.data, chosen.mirror) == (str(tmp_path / "photos"), str(tmp_path / "archives"))
    assert (chosen.weights, chosen.results_folder) == (str(tmp_path / "weights"), tmp_path / "out")
    (tmp_path / "imagenet").mkdir()
    assert settings.load("sample", weights="imagenet").weights == "imagenet", "a name stays a name"
    assert settings.load("sample", mirror="https://example.org/a").mirror == "https://example.org/a"


def test_the_given_ones_are_remembered_through_changes():
    chosen = settings.load("sample", epochs=3).replace(image_size=32)
    assert chosen.given == {"epochs", "image_size"} and (chosen.epochs, chosen.image_size) == (3, 32)
    assert chosen == settings.load("sample", epochs=3, image_size=32)


@pytest.mark.parametrize(
    ("attempt", "names"),
    [
        (lambda: settings.load("papper"), ["papper", "sample", "classroom", "paper"]),
        (lambda: settings.load().backbone_of("vgg"), ["vgg", *settings.MODELS]),
        (lambda: settings.load(backbone="resnet"), ["resnet", "vgg16", "efficientnetlite0", "mobilenet"]),
        (lambda: settings.load(form="half"), ["half", "paper, fast, quarter or small"]),
        (lambda: settings.load(fraction=0.0), ["fraction", "0.0", "--fraction"]),
        (lambda: settings.load(image_size=-1), ["image_size", "-1", "COLORLIB_IMAGE_SIZE"]),
        (lambda: settings.load(image_size="large"), ["image_size", "'large'", "a whole number"]),
        (lambda: settings.load(lambda_=1.5), ["lambda_", "1.5", "--lambda", "COLORLIB_LAMBDA"]),
        (lambda: settings.load(epochs="1.5"), ["epochs", "'1.5'", "a whole number, at least 1"]),
        (lambda: settings.load(aging=1.5), ["aging", "1.5", "in [0, 1]", "--aging"]),
        (lambda: settings.load(backbone_rate=-0.1), ["backbone_rate", "-0.1", "in [0, 1]", "--backbone-rate"]),
        (lambda: settings.load(dropout=float("nan")), ["dropout", "nan"]),
        (lambda: settings.load(flip="perhaps"), ["flip", "true or false"]),
        (lambda: settings.load().replace(epochs=0), ["epochs", "at least 1"]),
    ],
)
def test_unknown_names_and_impossible_values_say_what_is_valid(attempt, names):
    with pytest.raises(ColorlibError) as caught:
        attempt()
    for name in names:
        assert name in str(caught.value)


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.load().epochs = 3


def test_no_two_profiles_and_no_two_data_sets_share_a_results_folder(monkeypatch, tmp_path):
    results = settings.ROOT / "results"
    folders = [tmp_path / one / "photos" for one in ("a", "b")]
    for folder in folders:
        folder.mkdir(parents=True)
    chosen = [settings.load(profile) for profile in settings.PROFILES]
    chosen += [settings.load("sample", data=str(folder)) for folder in folders]
    chosen += [settings.load("sample", data="food101")]
    places = [each.results_folder for each in chosen]
    assert places[:3] == [results / "sample", results / "classroom", results / "paper"]
    assert places[5] == results / "food101" and len(set(places)) == 6
    assert [each.data_name for each in chosen[:3]] == ["sample", "places365-val", "places365"]
    one, other = (each.data_name for each in chosen[3:5])
    assert one != other and all(name.startswith("photos-") and len(name) == 13 for name in (one, other))
    assert places[3] == results / one and places[4] == results / other
    monkeypatch.chdir(tmp_path / "a")
    assert settings.load("sample", data="photos").data_name == one, "the same folder by another path"
    assert chosen[0].replace(data="food101").results_folder == results / "food101", "it follows the data"
    assert settings.load("sample", data="food101", results_folder=tmp_path).results_folder == tmp_path


def test_the_home_of_a_folder_has_a_name_that_tensorflow_can_open(tmp_path):
    folders = [tmp_path / os.fsdecode(name) for name in (b"caf\xe9", b"caf\xe8")]
    names = [settings.load("sample", data=str(folder)).data_name for folder in folders]
    assert all(name.encode().startswith("caf\N{REPLACEMENT CHARACTER}-".encode()) for name in names)
    assert names[0] != names[1]


def rows_of_the_settings() -> str:
    """README's table, made from the fields."""
    rows = ["| flag | what it sets [default] |", "|---|---|"]
    for name in settings.FIELDS:
        rows.append(f"| `{settings.flag(name)}` | {settings.description(name).replace(f'{settings.ROOT}/', '')} |")
    return "\n".join(rows)


def test_readmes_table_of_settings_is_that_of_the_fields():
    """Make it anew: PYTHONPATH=tests python -c "import test_settings as t; print(t.rows_of_the_settings())"."""
    page = (settings.ROOT / "README.md").read_text(encoding="utf-8")
    table = page.partition("<!-- settings -->\n")[2].partition("\n<!-- settings: end -->")[0]
    assert table == rows_of_the_settings()
