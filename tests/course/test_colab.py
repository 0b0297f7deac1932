"""The setup of a notebook, on a Colab that is made up: mounting Drive, refusing to, dropping it, uploading."""

import importlib.machinery
import sys
import types
import zipfile

import pytest

from colorlib import ColorlibError, settings
from colorlib.course import colab
from colorlib.sources import files


def module(name, **contents):
    made = types.ModuleType(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)  # find_spec raises without one
    made.__path__ = []
    vars(made).update(contents)
    return made


class Colab:
    """google.colab as far as colorlib uses it. `refuses`: the error with which mounting fails."""

    def __init__(self, mount, refuses=None):
        self.mount_point, self.refuses, self.mounts = mount, refuses, 0
        self.picked, self.downloaded = {}, []

    def mount(self, place, force_remount=False):
        self.mounts += 1
        self.forced = force_remount
        assert place == str(self.mount_point)
        if self.refuses:
            raise self.refuses
        (self.mount_point / "MyDrive").mkdir(parents=True, exist_ok=True)

    def upload(self):
        for name, data in self.picked.items():  # as the real one does, into the current folder
            with open(name, "wb") as file:  # noqa: PTH123
                file.write(data)
        return self.picked


@pytest.fixture
def on_colab(tmp_path, monkeypatch):
    mount = tmp_path / "content" / "drive"
    fake = Colab(mount)
    drive = module("google.colab.drive", mount=fake.mount)
    uploads = module("google.colab.files", upload=fake.upload, download=fake.downloaded.append)
    package = module("google.colab", drive=drive, files=uploads)
    for name, value in (
        ("google", module("google", colab=package)),
        ("google.colab", package),
        ("google.colab.drive", drive),
        ("google.colab.files", uploads),
    ):
        monkeypatch.setitem(sys.modules, name, value)
    monkeypatch.setattr(files, "DRIVE", mount)
    monkeypatch.setattr(colab, "accelerator", lambda: "Tesla T4")
    return fake


def test_elsewhere_is_not_colab(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(colab, "accelerator", lambda: "")
    assert not colab.is_colab()
    settings = colab.start()
    printed = capsys.readouterr().out
    assert settings.profile == "sample" and settings.keep_folder is None
    assert [line.split()[0] for line in printed.splitlines()] == ["Profile", "Data", "Results", "Accelerator", "Kept"]
    assert "none; the sample profile needs none" in printed and "stay on this machine's disk" in printed


def test_a_google_package_put_together_by_hand_is_not_colab(monkeypatch):
    broken = types.ModuleType("google.colab")
    broken.__spec__ = None  # find_spec raises ValueError
    monkeypatch.setitem(sys.modules, "google", module("google"))
    monkeypatch.setitem(sys.modules, "google.colab", broken)
    assert not colab.is_colab()


def test_start_on_colab_mounts_drive_once_and_names_no_path(on_colab, capsys, tmp_path):
    assert colab.is_colab()
    settings = colab.start()
    printed = capsys.readouterr().out
    assert settings.profile == "classroom"
    assert settings.keep_folder == on_colab.mount_point / "MyDrive" / "colorlib" / "classroom"
    assert settings.keep_folder.is_dir()
    assert "copied to MyDrive/colorlib/classroom on Google Drive" in printed and "Tesla T4" in printed
    assert str(tmp_path) not in printed and "/work" not in printed and "/content" not in printed
    colab.start()
    assert capsys.readouterr().out == printed
    assert on_colab.mounts == 1


def test_trainings_of_other_profiles_or_photos_do_not_collide_on_drive(on_colab, capsys, tmp_path):
    mine = tmp_path / "holidays"
    mine.mkdir()
    chosen = [("classroom", ""), ("paper", ""), ("classroom", "food101"), ("classroom", str(mine))]
    name = settings.load(data=str(mine)).data_name
    assert name.startswith("holidays-")
    folders = [colab.start(profile, data).keep_folder for profile, data in chosen]
    assert [folder.name for folder in folders] == ["classroom", "paper", "classroom-food101", f"classroom-{name}"]
    printed = capsys.readouterr().out
    assert f"MyDrive/colorlib/classroom-{name} on Google Drive" in printed and "your folder holidays" in printed
    assert str(tmp_path) not in printed


def test_a_second_folder_that_was_given_is_kept_to(on_colab, monkeypatch, tmp_path):
    monkeypatch.setenv("COLORLIB_KEEP_FOLDER", str(tmp_path / "mine"))
    assert colab.start().keep_folder == tmp_path / "mine"


@pytest.mark.parametrize("error", [ValueError("mount failed"), RuntimeError("credential propagation was unsuccessful")])
def test_a_refused_mount_is_said_and_the_course_goes_on(on_colab, capsys, error):
    on_colab.refuses = error
    settings = colab.start("sample")
    printed = capsys.readouterr().out
    assert settings.keep_folder is None
    assert f"Google Drive cannot be used: {error}. NOTHING outlasts this session" in printed
    assert "NOTHING outlasts this session" in printed


def test_a_refused_mount_is_said_beside_a_second_folder_that_was_given(on_colab, capsys, monkeypatch, tmp_path):
    on_colab.refuses = ValueError("mount failed")
    monkeypatch.setenv("COLORLIB_KEEP_FOLDER", str(tmp_path / "mine"))
    assert colab.start("sample").keep_folder == tmp_path / "mine"
    assert "Google Drive cannot be used: mount failed. checkpoints are copied to" in capsys.readouterr().out


def test_without_drive_it_is_said_that_nothing_lasts(on_colab, capsys):
    settings = colab.start("sample", drive=False)
    assert settings.keep_folder is None and on_colab.mounts == 0
    assert "NOTHING outlasts this session" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["is_dir", "mkdir"])
def test_a_dropped_mount_is_said(on_colab, capsys, monkeypatch, method):
    colab.start("sample")
    kind = type(on_colab.mount_point)
    real = getattr(kind, method)

    def dropped(self, *arguments, **options):
        if on_colab.mount_point in self.parents:
            raise OSError(107, "Transport endpoint is not connected")
        return real(self, *arguments, **options)

    monkeypatch.setattr(kind, method, dropped)
    settings = colab.start("sample")
    printed = capsys.readouterr().out
    assert settings.keep_folder is None and "Transport endpoint is not connected" in printed
    assert "NOTHING outlasts this session" in printed


def test_a_dropped_mount_is_mounted_again(on_colab, monkeypatch):
    kind = type(on_colab.mount_point)
    real = kind.is_dir

    def is_dir(self):
        if self.name == "MyDrive" and not on_colab.mounts:
            raise OSError(107, "Transport endpoint is not connected")
        return real(self)

    monkeypatch.setattr(kind, "is_dir", is_dir)
    assert colab.start("sample").keep_folder is not None
    assert on_colab.mounts == 1 and on_colab.forced


@pytest.mark.parametrize("profile", ["classroom", "paper"])
def test_no_gpu_on_colab_says_what_it_is_for_and_what_to_choose(on_colab, capsys, monkeypatch, profile):
    monkeypatch.setattr(colab, "accelerator", lambda: "")
    colab.start(profile, drive=False)
    printed = capsys.readouterr().out
    assert "Only training needs one" in printed and "choose Runtime > Change runtime type > T4 GPU" in printed


def installed(monkeypatch, versions):
    """Let some packages seem to be of another version, or, where it is None, not to be there."""
    version, find_spec = colab.importlib.metadata.version, colab.importlib.util.find_spec

    def other_version(name):
        if name in versions and versions[name] is None:
            raise colab.importlib.metadata.PackageNotFoundError(name)
        return versions.get(name) or version(name)

    monkeypatch.setattr(colab.importlib.metadata, "version", other_version)
    monkeypatch.setattr(colab.importlib.util, "find_spec", lambda name: None if name in versions else find_spec(name))


def test_a_runtime_without_tensorflow_says_what_to_choose(on_colab, monkeypatch):
    installed(monkeypatch, {"tensorflow": None})
    with pytest.raises(ColorlibError, match=r"tensorflow.* is missing.*T4 GPU.*TPU runtimes come without TensorFlow"):
        colab.start()
    assert on_colab.mounts == 0, "said before anything is asked of the reader"


@pytest.mark.parametrize(("colab_there", "advice"), [(True, "latest runtime version"), (False, "pip install -r")])
def test_a_missing_or_old_package_is_named_with_what_to_do(request, monkeypatch, colab_there, advice):
    if colab_there:
        request.getfixturevalue("on_colab")
    installed(monkeypatch, {"tqdm": None, "scikit-image": "0.19.3"})
    with pytest.raises(ColorlibError, match=advice) as caught:
        colab.start()
    assert "tqdm>=4.67 is missing" in str(caught.value)
    assert "scikit-image>=0.25 is needed, 0.19.3 is there" in str(caught.value)


def test_newer_packages_and_release_candidates_will_do(monkeypatch):
    installed(monkeypatch, {"tensorflow": "2.99.0rc1", "numpy": "3.0.0"})
    colab.check_packages()


def test_photos_on_drive_are_there_before_the_data_folder_is_looked_for(on_colab, capsys):
    mine = on_colab.mount_point / "MyDrive" / "holidays"
    real = on_colab.mount

    def mount(place, force_remount=False):
        real(place, force_remount)
        mine.mkdir(exist_ok=True)

    sys.modules["google.colab.drive"].mount = mount
    chosen = colab.start("classroom", str(mine))
    assert chosen.data == str(mine.resolve()) and on_colab.mounts == 1
    assert "your folder holidays" in capsys.readouterr().out


def test_results_are_named_as_seen_from_the_project(on_colab, capsys, tmp_path):
    for folder, name in [("results", "results/"), (".test/results", "results/"), ("results/mine", "results/mine/")]:
        assert colab._shown_results(tmp_path / folder) == name
    assert colab._shown_results(tmp_path / "elsewhere") == "elsewhere/, the folder chosen by COLORLIB_RESULTS"


def test_uploaded_photos_lie_in_the_folder_and_not_where_the_notebook_is(on_colab, tmp_path, monkeypatch):
    here, folder = tmp_path / "here", tmp_path / "data" / "yours"
    here.mkdir()
    monkeypatch.chdir(here)
    on_colab.picked = {"grandma.jpg": b"one", "a b.png": b"two"}
    paths = colab.upload(folder)
    assert [path.relative_to(folder).as_posix() for path in paths] == ["grandma.jpg", "a b.png"]
    assert [path.read_bytes() for path in paths] == [b"one", b"two"]
    assert list(here.iterdir()) == []
    on_colab.picked = {}
    assert colab.upload(folder) == []  # `yours.first` says what to do


@pytest.mark.parametrize("version", [7, 8])
def test_elsewhere_a_button_fills_the_list_of_photos(version, tmp_path, monkeypatch):
    made, files = {}, {"a.jpg": b"one", "../b c.png": b"two"}

    class FileUpload:
        def __init__(self, **options):
            made["options"] = options

        def observe(self, function, name):
            made[name] = function

    monkeypatch.setitem(sys.modules, "ipywidgets", module("ipywidgets", FileUpload=FileUpload))
    monkeypatch.setattr("IPython.display.display", lambda shown: None)
    paths = colab.upload(tmp_path / "yours")
    assert paths == [] and made["options"]["multiple"]
    new = tuple({"name": name, "content": memoryview(data)} for name, data in files.items())
    if version == 7:
        new = {name: {"metadata": {"name": name}, "content": data} for name, data in files.items()}
    made["value"]({"new": new})
    assert paths == [tmp_path / "yours" / "a.jpg", tmp_path / "yours" / "b c.png"]
    assert [path.read_bytes() for path in paths] == [b"one", b"two"]


def test_on_colab_this_run_s_results_are_downloaded_as_one_file(on_colab, tmp_path):
    folder = tmp_path / "colorized"
    paths = [folder / "a.png", folder / "rome" / "b.png"]
    paths[1].parent.mkdir(parents=True)
    for path in (*paths, folder / "of_yesterday.png"):
        path.write_bytes(b"one")
    colab.download(paths[:1], folder)
    colab.download(paths, folder)
    assert on_colab.downloaded == [str(folder / "a.png"), str(folder) + ".zip"]
    with zipfile.ZipFile(on_colab.downloaded[1]) as archive:
        assert archive.namelist() == ["a.png", "rome/b.png"]


def test_elsewhere_it_is_said_where_results_lie(tmp_path, capsys):
    colab.download([], tmp_path / "results" / "sample" / "colorized")
    assert capsys.readouterr().out == "Your photos in color lie in results/sample/colorized/\n"


def test_the_accelerator_is_named_and_tensorflow_starts_quietly():
    import tensorflow as tf

    names = colab.accelerator()
    assert bool(names) == bool(tf.config.list_physical_devices("GPU"))


def test_photos_go_to_the_machine_s_own_disk_and_one_packed_file_to_drive(on_colab, tmp_path, monkeypatch):
    """A whole session on a Colab whose project was cloned onto Drive, and a second one on a new machine."""
    import shutil

    import made_up
    from server import Server

    from colorlib import sources
    from colorlib.sources import published

    contents, recipes = made_up.published_sets()
    monkeypatch.setattr(published, "DATA_SETS", recipes)
    for name, value in made_up.small_lists(contents[published.FILELIST.name]).items():
        monkeypatch.setattr(published, name, value)
    drive = on_colab.mount_point / "MyDrive"
    monkeypatch.setenv("COLORLIB_DATA_FOLDER", str(drive / "colorization-course" / "data"))
    with Server(contents) as server:
        monkeypatch.setenv("COLORLIB_MIRROR", server.url)
        first = sources.prepare(colab.start("classroom"), progress=False)
        asked = len(server.log)
        assert first.folder == tmp_path / "content" / "colorlib-data" / "places365-val" / "photos"
        files = [path.relative_to(drive).as_posix() for path in drive.rglob("*") if path.is_file()]
        assert files == ["colorlib/classroom/places365-val-1-seed1.tar"]
        shutil.rmtree(tmp_path / "content" / "colorlib-data")  # the session ended
        second = sources.prepare(colab.start("classroom"), progress=False)
        assert len(server.log) == asked  # nothing is downloaded again
    assert second == first
    assert all(second.is_there(photo) for photo in (*second.train, *second.validation, *second.test))
