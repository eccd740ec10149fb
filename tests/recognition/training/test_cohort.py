"""A table of cases: its faults by row, and divisions in which no patient is on two sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coread.errors import DataError, InputError
from coread.recognition.training.cohort import Cohort, Place, Row, dealt, divisions, read_cohort


def table(folder: Path, text: str, *, files: str = "a.png b.png c.png d.png") -> Path:
    for name in files.split():
        (folder / name).write_bytes(name.encode())
    path = folder / "cohort.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_cells_are_read_whatever_separates_them(mark: str, tmp_path: Path) -> None:
    text = "\ufeffimage,label,patient,split\r\na.png, sick ,p1,Train\r\nb.png,well,p2,val\r\n".replace(
        ",", mark
    )
    cohort = read_cohort(table(tmp_path, text), "classify")
    assert [(r.number, r.name, r.label, r.patient, r.part) for r in cohort.rows] == [
        (2, "a.png", "sick", "p1", "train"),
        (3, "b.png", "well", "p2", "val"),
    ]
    assert cohort.rows[0].image.path == tmp_path / "a.png"
    assert cohort.classes == ("sick", "well")


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    path = table(tmp_path, "datei,befund,patient\na.png,1,p1\n")
    assert read_cohort(path, "classify", columns={"image": "datei", "label": "befund"}).rows[0].label == "1"
    with pytest.raises(DataError, match=r"without the column image, label .*--column"):
        read_cohort(path, "classify")
    with pytest.raises(InputError, match="columns side"):
        read_cohort(path, "classify", columns={"side": "datei"})


def test_every_fault_is_told_with_its_row(tmp_path: Path) -> None:
    text = (
        "image,label,patient,split\n"
        "a.png,1,p1,train\n"
        "\n"  # row 3 of the spreadsheet
        "missing.png,0,p2,train\n"
        "b.png,,p3,train\n"
        "c.png,1,p1,test\n"
        "a.png,1,p1,train\n"
        "d.png,1,p5,holdout\n"
    )
    with pytest.raises(DataError) as told:
        read_cohort(table(tmp_path, text), "classify")
    for part in (
        "row 4: no file missing.png",
        "row 5: label is empty",
        "row 6: its patient is in test, and in train in row 2",
        "row 7: image a.png is in row 2 too",
        "row 8: split is 'holdout', not train, val or test",
    ):
        assert part in told.value.came
    assert "row 2:" not in told.value.came
    assert "p1" not in str(told.value)  # no patient is named


def test_many_faults_are_counted(tmp_path: Path) -> None:
    lines = "".join(f"no{n}.png,0,p{n}\n" for n in range(30))
    with pytest.raises(DataError, match=r"row 9: no file no7\.png; and 22 more"):
        read_cohort(table(tmp_path, "image,label,patient\n" + lines), "classify")


@pytest.mark.parametrize("text", ["", "image,label,patient\n", "image\n"])
def test_a_table_without_cases_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cohort\.csv"):
        read_cohort(table(tmp_path, text), "classify")
    with pytest.raises(InputError, match="nothing at"):
        read_cohort(tmp_path / "absent.csv", "classify")


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(DataError, match="can't be read"):
        read_cohort(path, "classify")


def test_masks_and_unlabelled_cases(tmp_path: Path) -> None:
    path = table(tmp_path, "image,mask,patient\na.png,b.png,p1\nc.png,d.png,p2\n")
    assert read_cohort(path, "segment").rows[1].mask == Place(tmp_path / "d.png")
    rows = read_cohort(table(tmp_path, "image\na.png\nb.png\n"), "unlabelled").rows
    assert [row.patient for row in rows] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("x/scan.nii.gz", ("x/scan.nii.gz", None, None)),
        ("films.npz", ("films.npz", None, None)),
        ("films.npz#images", ("films.npz", "images", None)),
        ("films.npz#images[12]", ("films.npz", "images", 12)),
        ("odd#name.png", ("odd#name.png", None, None)),
    ],
)
def test_a_cell_names_a_file_an_array_or_a_case(cell: str, expected: tuple) -> None:
    place = Place.of(cell, Path("data"))
    assert (place.path, place.name, place.index) == (Path("data") / expected[0], *expected[1:])


def test_the_digest_changes_with_any_case(tmp_path: Path) -> None:
    path = table(tmp_path, "image,label,patient\na.png,1,p1\nb.png,0,p2\n")
    first = read_cohort(path, "classify").digest()
    assert read_cohort(path, "classify").digest() == first
    (tmp_path / "b.png").write_bytes(b"other")
    second = read_cohort(path, "classify").digest()
    path.write_text("image,label,patient\na.png,1,p1\nb.png,1,p2\n")
    assert len({first, second, read_cohort(path, "classify").digest()}) == 3


def cohort_of(patients: list[str], labels: list[str], parts: list[str | None] | None = None) -> Cohort:
    parts = parts or [None] * len(patients)
    rows = [
        Row(n + 2, f"{n}.png", Place(Path(f"{n}.png")), patient, label, None, part)
        for n, (patient, label, part) in enumerate(zip(patients, labels, parts, strict=True))
    ]
    return Cohort("cohort.csv", "classify", tuple(rows))


@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=60, max_size=150),
    st.integers(3, 5),
    st.integers(0, 9),
)
def test_no_patient_is_on_two_sides_and_each_is_judged_once(
    cases: list[tuple[int, bool]], folds: int, seed: int
) -> None:
    patients = [f"p{n}" for n, _ in cases] + [f"q{n}" for n in range(20)]
    labels = [str(int(b)) for _, b in cases] + [str(n % 2) for n in range(20)]
    cohort = cohort_of(patients, labels)
    parts = divisions(cohort, folds, seed)
    assert [part.name for part in parts] == [f"fold_{n + 1}" for n in range(folds)]
    for part in parts:
        sides = [{patients[n] for n in side} for side in (part.train, part.val, part.test)]
        assert sum(len(side) for side in sides) == len(set(patients))
        assert len(part.train) + len(part.val) + len(part.test) == len(patients)
        assert all(sides)
    for side in ("test", "val"):
        everything = np.concatenate([getattr(part, side) for part in parts])
        assert sorted(everything) == list(range(len(patients)))


def test_classes_are_spread_evenly_over_folds() -> None:
    patients = [f"p{n:03}" for n in range(100)]
    labels = ["0"] * 80 + ["1"] * 20
    of = dealt(patients, labels, 5, seed=4)
    for fold in range(5):
        chosen = of == fold
        assert (np.count_nonzero(chosen[:80]), np.count_nonzero(chosen[80:])) == (16, 4)
    assert np.array_equal(of, dealt(patients, labels, 5, seed=4))
    assert not np.array_equal(of, dealt(patients, labels, 5, seed=5))


def test_the_deal_does_not_depend_on_the_order_of_the_table() -> None:
    patients, labels = [f"p{n}" for n in range(30)], [str(n % 2) for n in range(30)]
    of = dict(zip(patients, dealt(patients, labels, 3, seed=0), strict=True))
    back = dict(zip(patients[::-1], dealt(patients[::-1], labels[::-1], 3, seed=0), strict=True))
    assert of == back


def test_the_tables_own_division_holds() -> None:
    parts = ["train", "train", "val", "test"]
    (division,) = divisions(cohort_of(list("abcd"), list("0101"), parts), 0, 0)
    assert (division.train.tolist(), division.val.tolist(), division.test.tolist()) == ([0, 1], [2], [3])
    with pytest.raises(DataError, match="0 for val"):
        divisions(cohort_of(list("abcd"), list("0101"), ["train", "train", "train", "test"]), 0, 0)


def test_the_test_part_stays_out_of_the_folds() -> None:
    patients, labels = [f"p{n}" for n in range(20)], [str(n % 2) for n in range(20)]
    parts = ["test" if n < 4 else "train" for n in range(20)]
    for division in divisions(cohort_of(patients, labels, parts), 4, 0):
        used = np.concatenate([division.train, division.val, division.test])
        assert sorted(used) == list(range(4, 20))


def test_without_a_division_a_fifth_is_judged_and_a_fifth_chooses() -> None:
    patients, labels = [f"p{n}" for n in range(50)], [str(n % 2) for n in range(50)]
    (division,) = divisions(cohort_of(patients, labels), 0, 3)
    assert [len(side) for side in (division.train, division.val, division.test)] == [30, 10, 10]


def test_too_few_folds_or_patients_are_refused() -> None:
    few = cohort_of([f"p{n}" for n in range(12)], ["0"] * 10 + ["1"] * 2)
    for folds in (1, 2, -1):
        with pytest.raises(InputError, match="folds"):
            divisions(few, folds, 0)
    with pytest.raises(InputError, match="2 of '1' patients for 5 parts"):
        divisions(few, 5, 0)
