"""Labelled pictures are read as people keep them; what is left out has its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from coread.errors import DataError, InputError
from coread.recognition.labelled import array_file, read_labelled

CLASSES = ("normal", "pneumonia")


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (count, 8, 8), dtype=np.uint8)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "films.npz"
    train, test = pictures(4), pictures(3, seed=1)
    test[1] = train[2]
    np.savez(
        path,
        train_images=train,
        train_labels=np.array([[0], [1], [0], [1]]),
        test_images=test,
        test_labels=np.array([[1], [0], [0]]),
    )
    return path


def test_the_test_part_comes_first_without_what_was_trained_on(archive: Path) -> None:
    read = read_labelled(archive, CLASSES)
    assert read.name == "films.npz, test part"
    assert read.rows == ("0", "2")
    assert read.labels.tolist() == [1, 0]
    assert read.left_out == (("1", "also in the train part"),)


def test_a_part_can_be_named(archive: Path) -> None:
    assert len(read_labelled(archive, CLASSES, part="train").pictures) == 4
    with pytest.raises(DataError, match="val_images"):
        read_labelled(archive, CLASSES, part="val")


def test_a_file_without_parts(tmp_path: Path) -> None:
    path = tmp_path / "films.npz"
    np.savez(path, images=pictures(3), labels=np.array([1, 0, 1]))
    read = read_labelled(path, CLASSES)
    assert (read.name, read.labels.tolist()) == ("films.npz", [1, 0, 1])
    assert np.array_equal(np.stack(read.pictures), pictures(3))
    with pytest.raises(DataError, match="test_images"):
        read_labelled(path, CLASSES, part="test")


def test_a_folder_with_one_file_is_that_file(archive: Path) -> None:
    (archive.parent / "README.md").write_text("where they come from")
    of_folder, of_file = read_labelled(archive.parent, CLASSES), read_labelled(archive, CLASSES)
    assert of_folder.name == of_file.name
    assert of_folder.labels.tolist() == of_file.labels.tolist()
    assert array_file(archive) == array_file(archive.parent) == archive


def test_a_folder_with_two_files_is_not_guessed_at(archive: Path) -> None:
    archive.with_name("more.npz").write_bytes(archive.read_bytes())
    with pytest.raises(DataError):
        read_labelled(archive.parent, CLASSES)


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, test_images=np.array([{"code": 1}], dtype=object), test_labels=np.array([1]))
    with pytest.raises(DataError, match="without pickles"):
        read_labelled(path, CLASSES)


def test_labels_must_fit_the_pictures(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, test_images=pictures(3), test_labels=np.zeros((2, 1)))
    with pytest.raises(DataError, match="3 pictures and 2 labels"):
        read_labelled(path, CLASSES)


def test_folders_by_class(tmp_path: Path) -> None:
    for number, name in enumerate(CLASSES):
        (tmp_path / name).mkdir()
        for film in range(number + 1):
            Picture.fromarray(pictures(1, film)[0]).save(tmp_path / name / f"{name}{film}.png")
    (tmp_path / "normal" / "broken.png").write_bytes(b"nothing")
    (tmp_path / "normal" / "note.txt").write_text("no picture")
    read = read_labelled(tmp_path, CLASSES)
    assert read.rows == ("normal0.png", "pneumonia0.png", "pneumonia1.png")
    assert read.labels.tolist() == [0, 1, 1]
    assert [row for row, _ in read.left_out] == ["broken.png"]
    np.testing.assert_array_equal(read.pictures[2], pictures(1, 1)[0])


def test_a_table_names_labels_and_patients(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Picture.fromarray(pictures(1)[0]).save(tmp_path / "images" / name)
    (tmp_path / "labels.csv").write_text(
        "file,patient,label\na.png,p1,pneumonia\nb.png,p1,normal\nc.png,p2,normal\n"
    )
    read = read_labelled(tmp_path, CLASSES)
    assert read.labels.tolist() == [1, 0]
    assert read.patients == ("p1", "p1")
    assert read.left_out == (("c.png", "no such file"),)


def test_an_unknown_label_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label\na.png,tumour\n")
    with pytest.raises(DataError, match="tumour"):
        read_labelled(tmp_path, CLASSES)


def test_nothing_there_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing at"):
        read_labelled(tmp_path / "absent.npz", CLASSES)
    with pytest.raises(DataError, match="without pictures"):
        read_labelled(tmp_path, CLASSES)
