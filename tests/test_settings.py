"""Profiles, the environment, and what is refused."""

import dataclasses

import pytest

from colorlib import ColorlibError, settings


def test_auto_is_classroom_on_colab_and_sample_elsewhere():
    assert settings.load().profile == "sample"
    assert settings.load("auto", on_colab=True).profile == "classroom"
    assert settings.load("paper", on_colab=True).profile == "paper"


def test_the_paper_profile_is_the_papers():
    paper = settings.load("paper")
    assert (paper.fraction, paper.image_size, paper.form) == (0.03, 224, "paper")
    assert (paper.backbone_of("baseline"), paper.backbone_of("efficientnet")) == ("vgg16", "efficientnetb7")
    assert paper.weights == "imagenet"


def test_every_profile_passes_its_own_check():
    for profile in settings.PROFILES.values():
        assert settings.checked(profile) == settings.checked(settings.checked(profile))


def test_the_environment_changes_fields_and_arguments_win(monkeypatch, tmp_path):
    monkeypatch.setenv("COLORLIB_PROFILE", "paper")
    monkeypatch.setenv("COLORLIB_BACKBONE", "mobilenet")
    monkeypatch.setenv("COLORLIB_IMAGE_SIZE", "128")
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path))
    loaded = settings.load(data="elsewhere", mirror="")
    assert loaded.profile == "paper" and loaded.image_size == 128 and loaded.data == "elsewhere"
    assert {loaded.backbone_of(model) for model in settings.MODELS} == {"mobilenet"}
    assert loaded.results_folder == tmp_path
    assert settings.load(image_size=64).image_size == 64


@pytest.mark.parametrize(
    ("attempt", "names"),
    [
        (lambda: settings.load("papper"), ["papper", "sample", "classroom", "paper"]),
        (lambda: settings.load().backbone_of("vgg"), ["vgg", "baseline", "rebalanced", "efficientnet"]),
        (lambda: settings.load(backbone="resnet"), ["resnet", "vgg16", "efficientnetb7", "mobilenet"]),
        (lambda: settings.load(fraction=0.0), ["fraction", "0.0"]),
        (lambda: settings.load(image_size=-1), ["image_size", "-1"]),
        (lambda: settings.load(lambda_=1.5), ["lambda_", "1.5"]),
        (lambda: settings.load(dropout=float("nan")), ["dropout", "nan"]),
    ],
)
def test_unknown_names_and_impossible_values_say_what_is_valid(attempt, names):
    with pytest.raises(ColorlibError) as caught:
        attempt()
    for name in names:
        assert name in str(caught.value)


def test_a_number_that_is_none(monkeypatch):
    monkeypatch.setenv("COLORLIB_IMAGE_SIZE", "large")
    with pytest.raises(ColorlibError, match="COLORLIB_IMAGE_SIZE='large' is not a number"):
        settings.load()


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.load().epochs = 3


def test_the_environment_carries_settings_to_another_process(monkeypatch, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    monkeypatch.chdir(tmp_path)
    chosen = settings.load("sample", data="photos", image_size=96, backbone="mobilenet", efficientnet="mobilenet")
    assert chosen.data == str(photos)
    monkeypatch.chdir("/")
    for variable, value in settings.environment(chosen).items():
        monkeypatch.setenv(variable, value)
    assert settings.load() == chosen


def test_other_data_get_a_results_folder_of_their_own(monkeypatch, tmp_path):
    assert settings.load("sample").results_folder == settings.ROOT / "results"
    assert settings.load("sample", data=str(tmp_path / "photos")).results_folder == settings.ROOT / "results" / "photos"
    assert settings.load("sample", data="food101", results_folder=tmp_path).results_folder == tmp_path
    monkeypatch.setenv("COLORLIB_DATA", "food101")
    assert settings.load("paper").results_folder == settings.ROOT / "results" / "food101"
