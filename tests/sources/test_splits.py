"""The split as a file: exact shares, the same on every machine, small enough to share, nothing else passes for one."""

import dataclasses
import json
import os
import random
from collections import Counter

import made_up
import pytest

from colorlib import ColorlibError
from colorlib.sources.splits import PARTS, Photo, Split, describe, divide, in_turn, part_folders, plain_copy, stratified


def photo(path, archive="", offset=-1):
    digest = made_up.sha256(path.encode())
    return Photo(path, 1000 + len(path), digest, path.rpartition("/")[0], archive, offset)


def photos(counts, top=""):
    return [photo(f"{top}{label}/{i:04}.jpg") for label, count in counts.items() for i in range(count)]


def whole(parts):
    return sorted(p.path for part in PARTS for p in parts[part])


def test_a_folder_of_classes_is_split_90_5_5_within_each_class():
    found = photos({"a": 200, "b": 100, "c/deep": 40})
    parts = divide(found, seed=1)
    assert [len(parts[part]) for part in PARTS] == [340 - 17 - 17, 17, 17]
    assert whole(parts) == sorted(p.path for p in found)  # each once
    for part in ("validation", "test"):
        counts = Counter(p.label for p in parts[part])
        assert all(abs(counts[label] - 0.05 * n) <= 1 for label, n in (("a", 200), ("b", 100), ("c/deep", 40)))


def test_a_split_depends_on_seed_and_paths_alone():
    found = photos({"a": 100, "b": 60})
    shuffled = random.Random(0).sample(found, len(found))
    assert divide(found, 1) == divide(shuffled, 1)
    assert divide(found, 1) != divide(found, 2)


@pytest.mark.parametrize("top", ["", "miniplaces/", "deep/er/"])
@pytest.mark.parametrize("validation", ["val", "validation", "VAL"])
def test_train_val_and_test_folders_are_taken_as_they_are(top, validation):
    found = photos({f"train/{x}": 30 for x in "abc"} | {f"{validation}/a": 5, "test/b": 7, "notes": 9}, top)
    assert part_folders(p.path for p in found)[1] == {"train", validation.lower(), "test"}
    parts = divide(found, 1)
    assert [len(parts[part]) for part in PARTS] == [90, 5, 7]  # those of "notes" belong to no part
    assert {p.label for p in parts["train"]} == {"a", "b", "c"}


@pytest.mark.parametrize("beside", ["Rome", "notes", "tests", "train2"])
def test_a_folder_called_train_is_a_class_where_neither_val_nor_test_is_there(beside):
    found = photos({"Train": 60, beside: 100, "deep/val": 40})
    parts = divide(found, 1)
    assert whole(parts) == sorted(p.path for p in found)
    assert {p.label for p in parts["train"]} == {"Train", beside, "deep/val"}


def test_a_missing_part_is_cut_from_train():
    parts = divide(photos({"train/a": 80, "train/b": 20, "val/a": 5}), 1)
    assert [len(parts[part]) for part in PARTS] == [95, 5, 5]
    assert {p.path.split("/")[0] for p in parts["test"]} == {"train"}
    assert not {p.path for p in parts["test"]} & {p.path for p in parts["train"]}


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_photos_are_shared_out_as_far_as_they_go(count):
    parts = divide(photos({"a": count}), 1)
    assert sum(map(len, parts.values())) == count and max(map(len, parts.values())) <= 1


@pytest.mark.parametrize("number", [0, 1, 10, 54, 170])
def test_stratified_is_exact_and_within_one_of_each_share(number):
    counts = {"a": 100, "b": 50, "c": 20}
    chosen = stratified(photos(counts), number, "seed")
    assert len({p.path for p in chosen}) == number
    found = Counter(p.label for p in chosen)
    assert all(abs(found[label] - count * number / 170) < 1 for label, count in counts.items())


def test_the_same_photos_for_a_seed_as_ever():
    found = photos({"a": 40, "b": 30, "c/deep": 30})
    parts = divide(found, 7)
    digest = made_up.sha256(json.dumps({part: [p.path for p in parts[part]] for part in PARTS}).encode())
    assert digest == "1e5477ef5bbc1bf274e0708a1ec15a91213f50f65b8a5cb56890887d499eb127"
    order = in_turn({p.path: p.label for p in found}, "7")
    assert (
        made_up.sha256(json.dumps(order).encode()) == "c3e58ed1668f5f87694ca39445c47077609e25ff25e37bbbcd717aa12eb4aee1"
    )
    odd = [dataclasses.replace(p, path=os.fsdecode(b"caf\xe9") + p.path) for p in found]
    assert len(stratified(odd, 10, "7")) == 10


def make(home, count=20, archive="a.tar"):
    found = [photo(f"top/class_{i % 3}/{i:08}.jpg", archive, 512 * i if archive else -1) for i in range(count)]
    odd = dataclasses.replace(found[2], copy="rewritten/x.png")
    parts = (tuple(found[:2]) + (odd,), tuple(found[3:5]), tuple(found[5:]))
    return Split("name", home / "photos", home, *parts, skipped=(("b.jpg", "empty"),), made_with={"seed": 1})


@pytest.mark.parametrize("archive", ["", "a.tar"])
def test_what_is_saved_is_what_is_loaded(tmp_path, archive):
    split = make(tmp_path, archive=archive)
    if not archive:
        odd = os.fsdecode(b"caf\xe9/br\xfbl\xe9e.jpg")  # Latin-1 bytes
        tests = (photo("flat.jpg"), photo("größe/ü 1.jpg"), Photo(odd, 5, "0" * 64, os.fsdecode(b"caf\xe9")))
        split = dataclasses.replace(split, test=tests, skipped=((odd, "empty"),))
    assert Split.load(split.save()) == split
    assert (tmp_path / "split.json").read_text(encoding="ascii")
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


def test_the_checksum_is_that_of_the_photos_and_parts_not_of_the_place(tmp_path):
    split = make(tmp_path / "a")
    assert split.checksum == make(tmp_path / "b").checksum
    moved = dataclasses.replace(split, train=split.train[1:], test=split.train[:1] + split.test)
    other = dataclasses.replace(split, train=(dataclasses.replace(split.train[0], sha256="0" * 64), *split.train[1:]))
    assert len({split.checksum, moved.checksum, other.checksum}) == 3


def test_the_paper_s_split_is_small_enough_to_share(tmp_path):
    counts = (54_104, 1_095, 9_855)
    parts = [
        tuple(
            Photo(f"data_256/a/class_{i // 150}/{i:08}.jpg", 14_000 + i % 9999, made_up.sha256(b"%d" % i), "x", "t", i)
            for i in range(count)
        )
        for count in counts
    ]
    path = Split("places365", tmp_path / "photos", tmp_path, *parts).save()
    assert path.stat().st_size < 12_000_000
    assert Split.load(path).train == parts[0]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1, 2]", "null", '{"dataset": "x"}', "\udcff".encode("utf-8", "surrogateescape"), "cut"],
)
def test_a_file_that_is_no_split_is_refused_with_advice(tmp_path, text):
    path = make(tmp_path).save()
    data = path.read_bytes()[:-40] if text == "cut" else text if isinstance(text, bytes) else text.encode()
    path.write_bytes(data)
    with pytest.raises(ColorlibError, match=r"split\.json is not a split.*Delete it"):
        Split.load(path)


def test_unknown_fields_and_parts(tmp_path):
    path = make(tmp_path).save()
    intact = path.read_text()
    for change in (
        lambda document: document["train"][0].append("too many"),
        lambda document: document["columns"].append("license"),
        lambda document: document.update(version=2),
        lambda document: document.pop("columns"),
    ):
        document = json.loads(intact)
        change(document)
        path.write_text(json.dumps(document))
        with pytest.raises(ColorlibError, match=r"is not a split that this version can read.*Delete it"):
            Split.load(path)
    with pytest.raises(ColorlibError, match="Unknown part of a split 'dev'"):
        make(tmp_path).photos("dev")


def test_a_plain_photo_needs_no_copy_and_a_broken_one_is_refused(tmp_path):
    from colorlib.sources.photos import PhotoError

    assert plain_copy(tmp_path, tmp_path, "a.jpg", made_up.jpeg(1)) == ""
    with pytest.raises(PhotoError):
        plain_copy(tmp_path, tmp_path, "a.jpg", made_up.jpeg(1)[:200])
    assert list(tmp_path.iterdir()) == []
    assert describe("a/b.jpg", b"abc", "a") == Photo("a/b.jpg", 3, made_up.sha256(b"abc"), "a")
