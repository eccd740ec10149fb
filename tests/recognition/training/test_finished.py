"""What is done with finished models needs no torch: order, evaluation. Their networks have closed forms."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from coread.errors import DataError, InputError
from coread.recognition.importing import Intensity, Specification, import_model, load_imported
from coread.recognition.importing.imported import read_card
from coread.recognition.metrics import Estimate
from coread.recognition.training.card import card_table, card_text
from coread.recognition.training.evaluation import evaluate_on_table
from coread.recognition.training.unlabelled import SCHEMA, VERSION, finished, order_unlabelled

GREY = (Intensity(divide=255.0),)


def classifier(**more: object) -> Specification:
    said = {"channels": ("image",), "intensities": GREY, "activation": "softmax", "window": (4, 4)}
    return Specification(**{"task": "classify", "outputs": ("dark", "bright")} | said | more)  # type: ignore[arg-type]


def segmenter() -> Specification:
    return classifier(task="segment", outputs=("background", "bright"), fit=True)


def network(kind: str, slope: float, cut: float) -> bytes:
    """ONNX by hand: logits -slope (x - cut) and slope (x - cut) of the mean grey, or of each pixel."""

    def varint(number: int) -> bytes:
        low = [number & 0x7F]
        while number := number >> 7:
            low = [*low[:-1], low[-1] | 0x80, number & 0x7F]
        return bytes(low)

    def part(number: int, content: bytes | str | int) -> bytes:
        if isinstance(content, int):
            return varint(number << 3) + varint(content)
        content = content.encode() if isinstance(content, str) else content
        return varint(number << 3 | 2) + varint(len(content)) + content

    def node(operation: str, inputs: list[str], output: str) -> bytes:
        return part(1, b"".join(part(1, i) for i in inputs) + part(2, output) + part(4, operation))

    def tensor(name: str, values: np.ndarray) -> bytes:
        dims = b"".join(part(1, n) for n in values.shape)
        return part(5, dims + part(2, 1) + part(8, name) + part(9, values.astype("<f4").tobytes()))

    def value(number: int, name: str, shape: list[int | str]) -> bytes:
        dims = b"".join(part(1, part(1 if isinstance(n, int) else 2, n)) for n in shape)
        return part(number, part(1, name) + part(2, part(1, part(1, 1) + part(2, dims))))

    weights, bias = np.array([-slope, slope]), np.array([slope * cut, -slope * cut])
    if kind == "classify":
        nodes = node("GlobalAveragePool", ["image"], "a") + node("Flatten", ["a"], "b")
        nodes += node("Gemm", ["b", "w", "c"], "logits")
        arrays, shape = tensor("w", weights[None]), ["n", 2]
    else:
        nodes = node("Conv", ["image", "w", "c"], "logits")
        arrays, shape = tensor("w", weights[:, None, None, None]), ["n", 2, 4, 4]
    graph = nodes + part(2, "g") + arrays + tensor("c", bias)
    graph += value(11, "image", ["n", 1, 4, 4]) + value(12, "logits", shape)
    return part(1, 8) + part(7, graph) + part(8, part(1, "") + part(2, 13))


def finished_run(folder: Path, cuts: list[float], specification: Specification, slope: float = 4.0) -> Path:
    names = [f"fold_{n + 1}" for n in range(len(cuts))] if len(cuts) > 1 else [""]
    folder.mkdir(exist_ok=True)
    for name, cut in zip(names, cuts, strict=True):
        (folder / name).mkdir(exist_ok=True)
        file = folder / name / ("model.onnx" if name else "greys.onnx")
        file.write_bytes(network(specification.task, slope, cut))
    record = {
        "schema": SCHEMA,
        "version": VERSION,
        "model": "greys",
        "specification": dataclasses.asdict(specification),
        "networks": [{"name": name} for name in names],
        "data": {"table": "cohort.csv"},
    }
    (folder / "greys.json").write_text(json.dumps(record))
    return folder


def greys(folder: Path, values: dict[str, int]) -> Path:
    for name, grey in values.items():
        Picture.fromarray(np.full((8, 8), grey, np.uint8)).save(folder / name)
    table = folder / "pool.csv"
    table.write_text("image\n" + "\n".join(values) + "\n")
    return table


def quiet(*words: object) -> None:
    pass


def test_least_sure_is_nearest_to_the_cut(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", [0.5], classifier())
    values = {"black.png": 0, "grey.png": 120, "light.png": 170, "white.png": 255, "also.png": 120}
    order = order_unlabelled(run, greys(tmp_path, values), progress=quiet)
    assert [row["image"] for row in order] == ["also.png", "grey.png", "light.png", "black.png", "white.png"]
    chance = 1 / (1 + np.exp(-8 * (170 / 255 - 0.5)))
    expected = -(chance * np.log2(chance) + (1 - chance) * np.log2(1 - chance))
    assert order[2]["entropy"] == pytest.approx(expected, abs=1e-5)
    assert [row["says"] for row in order] == ["dark", "dark", "bright", "dark", "bright"]
    assert {row["disagreement"] for row in order} == {0.0}
    assert (order[0]["row"], order[0]["rank"], order[0]["patient"]) == (6, 1, "also.png")
    with pytest.raises(InputError, match="several"):
        order_unlabelled(run, tmp_path / "pool.csv", by="disagreement", progress=quiet)


def test_disagreement_is_where_the_folds_contradict_each_other(tmp_path: Path) -> None:
    """Cuts at a fifth and four fifths: they disagree about the middle and are both unsure near a cut."""
    run = finished_run(tmp_path / "run", [0.2, 0.8], classifier(), slope=20.0)
    table = greys(tmp_path, {"black.png": 0, "middle.png": 128, "cut.png": 51, "white.png": 255})
    order = order_unlabelled(run, table, progress=quiet)
    assert order[0]["image"] == "middle.png"
    assert order[0]["disagreement"] == pytest.approx(1.0, abs=1e-3)
    assert [row["image"] for row in order][-2:] == ["black.png", "white.png"]


def test_segmentations_are_ordered_too(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", [0.5], segmenter())
    order = order_unlabelled(run, greys(tmp_path, {"a.png": 250, "b.png": 128}), progress=quiet)
    assert [(row["image"], row["says"]) for row in order] == [("b.png", "bright"), ("a.png", "bright")]


def test_a_case_that_cannot_be_read_is_told_with_its_row(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", [0.5], classifier())
    table = greys(tmp_path, {"a.png": 3, "b.png": 4})
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"pool\.csv, row 3: b\.png is no picture"):
        order_unlabelled(run, table, progress=quiet)
    (run / "greys.onnx").unlink()
    with pytest.raises(DataError, match=r"greys\.onnx"):
        order_unlabelled(run, table, progress=quiet)


def test_a_folder_without_a_training_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match="no finished training"):
            finished(folder)


def imported(folder: Path, specification: Specification, threshold: float | None = None) -> Path:
    content = network(specification.task, 4.0, 0.5)
    (folder / "net.onnx").write_bytes(content)
    table = card_table(
        "greys",
        specification,
        {"licence": "Apache-2.0", "title": "Greys"},
        training_data="made up",
        weights=hashlib.sha256(content).hexdigest(),
        threshold=threshold,
        figures={"auc_test": (Estimate(0.91234, 0.8, 1.0), "ten made-up cases")},
        date="2026-01-02",
    )
    (folder / "card.toml").write_text(card_text(table, specification), encoding="utf-8")
    import_model(folder / "net.onnx", name="greys", card=folder / "card.toml", out=folder / "models")
    return folder / "models" / "greys"


def test_a_card_is_one_that_import_takes(tmp_path: Path) -> None:
    folder = imported(tmp_path, classifier(), 0.25)
    card, given, _ = read_card(folder / "card.toml")
    assert (card.name, card.licence, card.threshold, card.kind) == ("Greys", "Apache-2.0", 0.25, "classify")
    (metric,) = card.metrics
    assert (metric.name, metric.value, metric.low, metric.data) == (
        "auc_test",
        0.9123,
        0.8,
        "ten made-up cases",
    )
    assert given["window"] == [4, 4]


def test_an_imported_classifier_is_measured_at_the_cards_threshold(tmp_path: Path) -> None:
    folder = imported(tmp_path, classifier(), 0.25)
    values = {"0.png": 0, "100.png": 100, "90.png": 90, "200.png": 200, "120.png": 120}
    greys(tmp_path, values)
    lines = [
        "image,label,patient",
        "0.png,dark,a",
        "90.png,dark,b",
        "120.png,dark,b",
        "100.png,bright,c",
        "200.png,bright,d",
    ]
    (tmp_path / "cohort.csv").write_text("\n".join(lines))
    result = evaluate_on_table(load_imported(folder), tmp_path / "cohort.csv")
    # p(bright) = 1 / (1 + exp(-8 (g / 255 - 1/2))): .018, .236, .441 dark; .297, .909 bright
    assert {
        name: result.metrics[name].value for name in ("auc", "sensitivity", "specificity", "accuracy")
    } == {
        "auc": pytest.approx(5 / 6),
        "sensitivity": 1.0,
        "specificity": pytest.approx(2 / 3),
        "accuracy": pytest.approx(4 / 5),
    }
    assert (result.cases, result.patients) == (5, 4)
    (tmp_path / "cohort.csv").write_text("image,label,patient\n0.png,grey,a\n")
    with pytest.raises(DataError, match="row 2: label 'grey'"):
        evaluate_on_table(load_imported(folder), tmp_path / "cohort.csv")


def test_an_imported_segmentation_is_measured_on_masks(tmp_path: Path) -> None:
    folder = imported(tmp_path, segmenter())
    picture = np.zeros((4, 4), np.uint8)
    picture[:, 2:] = 255
    lines = ["image,mask,patient"]
    for name, columns in (("same", slice(2, 4)), ("half", slice(1, 3))):
        mask = np.zeros((4, 4), np.uint8)
        mask[:, columns] = 7
        Picture.fromarray(picture).save(tmp_path / f"{name}.png")
        Picture.fromarray(mask).save(tmp_path / f"{name}_mask.png")
        lines.append(f"{name}.png,{name}_mask.png,{name}")
    (tmp_path / "cohort.csv").write_text("\n".join(lines))
    result = evaluate_on_table(load_imported(folder), tmp_path / "cohort.csv")
    assert result.metrics["dice"].value == pytest.approx((1.0 + 0.5) / 2)
    with pytest.raises(InputError, match="nothing at"):
        evaluate_on_table(load_imported(folder), tmp_path / "none.csv")
