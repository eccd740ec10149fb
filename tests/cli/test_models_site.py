"""A site's models by the command line: imported, refused, calibrated, enabled, and nothing inherited."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from coread.cli.app import main
from coread.core import Acquisition, Geometry, Inputs, Volume
from coread.storage.site_models import SiteModels
from coread.testing.demo.dicom import SimulatedStudy, write_ct
from coread.workflow.analyzers import site_analyzers

SIDE = 8
DX = "1.2.840.10008.5.1.4.1.1.1.1"
"""SOP class of a digital X-ray image for presentation."""


def varint(number: int) -> bytes:
    out = b""
    while True:
        low, number = number & 0x7F, number >> 7
        out += bytes([low | 0x80 if number else low])
        if not number:
            return out


def field(number: int, value: int | bytes | str) -> bytes:
    """One field of a protocol buffer: a whole number, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor_type(name: str, shape: tuple[str | int, ...]) -> bytes:
    axes = b"".join(field(1, field(2, n) if isinstance(n, str) else field(1, n)) for n in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, axes)))


def floats(name: str, values: list[float]) -> bytes:
    return field(1, len(values)) + field(2, 1) + field(8, name) + field(9, np.float32(values).tobytes())


def brightness_network(gain: float) -> bytes:
    """An ONNX file written by hand: the logit is ``gain * (mean of the middle column - 0.5)``.

    The column is cut out by a convolution, so nothing of the package is used to make it.
    """
    kernel = np.zeros((1, 1, SIDE, SIDE), np.float32)
    kernel[..., SIDE // 2] = gain / SIDE
    weight = (
        b"".join(field(1, n) for n in kernel.shape) + field(2, 1) + field(8, "w") + field(9, kernel.tobytes())
    )
    conv = field(1, "image") + field(1, "w") + field(1, "b") + field(2, "c") + field(4, "Conv")
    flat = field(1, "c") + field(2, "logit") + field(4, "Flatten")
    graph = field(1, conv) + field(1, flat) + field(2, "g") + field(5, weight)
    graph += field(5, floats("b", [-gain / 2]))
    graph += field(11, tensor_type("image", ("n", 1, SIDE, SIDE))) + field(12, tensor_type("logit", ("n", 1)))
    return field(1, 8) + field(8, field(1, "") + field(2, 13)) + field(7, graph)


def bar(level: float) -> np.ndarray:
    """A film, 0 to 1, whose middle column has a level; the corners fix the range that is scaled."""
    film = np.zeros((SIDE, SIDE), np.float32)
    film[0, 0], film[:, SIDE // 2] = 1, level
    return film


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Films with levels 0.05 to 0.95; positive from 0.5 on, but for one that is bright and negative."""
    levels = np.arange(0.05, 1.0, 0.05)
    images = np.stack([np.round(255 * bar(level)) for level in levels]).astype(np.uint8)
    labels = (levels >= 0.5).astype(np.uint8)
    labels[-1] = 0
    path = tmp_path / "films.npz"
    np.savez(path, val_images=images, val_labels=labels[:, None])
    return path


def film_file(path: Path, level: float) -> Path:
    """A DX film on the disk that shows `bar`."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = DX
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.PatientID, data.PatientName = "SIM1", "SIMULATED^Film"
    data.Modality, data.BodyPartExamined, data.StudyDate = "DX", "HAND", "20260514"
    data.Rows = data.Columns = SIDE
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = np.round(4000 * bar(level)).astype(np.uint16).tobytes()
    path.mkdir(parents=True, exist_ok=True)
    data.save_as(path / "film.dcm", enforce_file_format=True)
    return path


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Run `coread` over a folder of models of its own; gives exit code, JSON or None, standard error."""

    def run(*arguments: str, models: Path = tmp_path / "models") -> tuple[int, dict | None, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--models", str(models), "--json"])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(out) if out else None, err

    return run


def fill(card: Path) -> None:
    """Fill the card as a person would, line by line."""
    said = {
        "version": '"1.0"',
        "kind": '"classify"',
        "mode": '"second-reader"',
        "needs": '{ images = { modality = "DX" } }',
        "intended_use": '"Bars in tests."',
        "not_for": '"Anything else."',
        "training_data": '"none, written by hand"',
        "licence": '"Apache-2.0"',
        "task": '"classify"',
        "channels": '["film"]',
        "intensities": '[{ scale = "min-max" }]',
        "outputs": '["fracture"]',
        "activation": '"sigmoid"',
    }
    lines = []
    for line in card.read_text(encoding="utf-8").splitlines():
        key = line.removeprefix("# ").split(" = ")[0]
        if key == "evidence_level":
            lines.append("evidence_level = 1")
        else:
            lines.append(f"{key} = {said[key]}" if key in said else line)
    card.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_network_written_by_hand_is_what_it_says() -> None:
    session = onnxruntime.InferenceSession(brightness_network(8.0), providers=["CPUExecutionProvider"])
    (logit,) = session.run(None, {"image": bar(0.75)[None, None]})
    assert logit[0, 0] == pytest.approx(8.0 * (0.75 - 0.5), abs=1e-5)


def row_of(document: dict, name: str) -> dict:
    return next(row for row in document["models"] if row["name"] == name)


def test_from_an_onnx_file_to_a_finding_and_no_further_with_other_weights(
    tmp_path: Path, call, cohort: Path
) -> None:
    models = tmp_path / "models"
    weights = tmp_path / "bars.onnx"
    weights.write_bytes(brightness_network(8.0))
    with pytest.raises(SystemExit) as ended:
        main(["models", "import", str(weights), "--name", "bars", "--out", str(models), "--json"])
    assert not ended.value.code
    card = models / "bars" / "card.toml"
    assert "window = [8, 8]" in card.read_text()

    # an unfilled card: listed, off, and neither measured nor enabled
    row = row_of(call("models", "list")[1], "bars")
    assert (row["state"], row["origin"]) == ("off", "imported")
    assert "intended_use" in row["state_reason"]
    code, _, err = call("models", "enable", "bars")
    assert code == 3
    assert "does not say" in err
    assert "card.toml" in err

    # a filled card, but no operating point
    fill(card)
    assert row_of(call("models", "list")[1], "bars")["state_reason"] == "imported and not enabled yet"
    code, _, err = call("models", "enable", "bars")
    assert code == 3
    assert "no operating point" in err
    assert "coread models threshold bars" in err

    # chosen on local cases: 9 of 10 positives lie above 0.5, and the bright negative too
    code, chosen, _ = call("models", "threshold", "bars", "--data", str(cohort), "--sensitivity", "1.0")
    (point,) = chosen["operating_points"]
    low, high = (1 / (1 + np.exp(-8.0 * (level - 0.5))) for level in (0.45, 0.5))
    assert low < point["threshold"] < high
    assert (point["cases"], point["positives"]) == (19, 9)
    assert point["sensitivity"]["value"] == 1.0
    assert point["specificity"]["value"] == pytest.approx(9 / 10)
    assert point["specificity"]["low"] < 0.9 < point["specificity"]["high"]
    assert call("models", "show", "bars")[1]["local_validation"] == "not validated here"
    assert call("models", "evaluate", "bars", "--data", str(cohort), "--record")[0] == 0
    shown = call("models", "show", "bars")[1]
    assert "19 cases" in shown["local_validation"]
    assert [act["what"] for act in shown["decisions"]] == ["threshold", "validated"]

    # enabled: it reads, and says at which threshold
    assert call("models", "enable", "bars")[1]["state"] == "on"
    studies = film_file(tmp_path / "studies", 0.9)
    code, summary, _ = call("read", str(studies))
    assert code == 0
    told = {a["name"]: a for a in summary["studies"][0]["analyzers"]}["bars"]
    (finding,) = told["findings"]
    assert (told["state"], finding["status"]) == ("done", "present")
    assert finding["probability"] == pytest.approx(1 / (1 + np.exp(-8.0 * 0.4)), abs=1e-3)
    assert finding["threshold"] == point["threshold"]
    assert told["operating_points"]["threshold"] == repr(point["threshold"])
    assert "sensitivity at least 1" in told["operating_points"]["threshold_source"]
    assert "19 cases" in told["operating_points"]["threshold_source"]

    # disabled: not run
    assert call("models", "disable", "bars")[1]["state"] == "off"
    assert "bars" not in {a["name"] for a in call("read", str(studies))[1]["studies"][0]["analyzers"]}
    assert call("models", "enable", "bars")[1]["state"] == "on"

    # other weights under the same name inherit nothing
    weights.write_bytes(brightness_network(6.0))
    filled = tmp_path / "card.toml"
    lines = card.read_text().splitlines()
    filled.write_text("\n".join(line for line in lines if not line.startswith("weights =")))
    with pytest.raises(SystemExit) as ended:
        main(
            ["models", "import", str(weights), "--name", "bars", "--card", str(filled)]
            + ["--out", str(models), "--force"]
        )
    assert not ended.value.code
    row = row_of(call("models", "list")[1], "bars")
    assert row["state"] == "refused"
    assert "inherits none" in row["state_reason"]
    assert row["local_validation"].startswith("not validated here (other weights were")
    told = {a["name"]: a for a in call("read", str(studies))[1]["studies"][0]["analyzers"]}["bars"]
    assert told["state"] == "failed"
    assert "was chosen with weights" in told["words"]
    assert told["findings"] == []
    code, _, err = call("models", "enable", "bars")
    assert code == 3
    assert "coread models threshold bars" in err
    call("models", "threshold", "bars", "--data", str(cohort), "--value", "0.4")
    assert call("models", "enable", "bars")[1]["state"] == "on"
    assert SiteModels(models).of("bars").thresholds["fracture"].threshold == 0.4


def test_a_card_changed_after_the_choice_takes_the_threshold_with_it(
    tmp_path: Path, call, cohort: Path
) -> None:
    models = tmp_path / "models"
    weights = tmp_path / "bars.onnx"
    weights.write_bytes(brightness_network(8.0))
    with pytest.raises(SystemExit):
        main(["models", "import", str(weights), "--name", "bars", "--out", str(models)])
    card = models / "bars" / "card.toml"
    fill(card)
    call("models", "threshold", "bars", "--data", str(cohort), "--specificity", "0.9")
    assert call("models", "enable", "bars")[1]["state"] == "on"
    card.write_text(card.read_text().replace('scale = "min-max"', 'scale = "z-score"'))
    row = row_of(call("models", "list")[1], "bars")
    assert row["state"] == "refused"
    assert "[import]" in row["state_reason"]
    card.write_text(card.read_text().replace("window = [8, 8]", "window = [9, 9]"))
    code, _, err = call("models", "enable", "bars")
    assert code == 3
    assert "whose input is" in err


def test_what_can_not_be_chosen_is_refused(tmp_path: Path, call, cohort: Path) -> None:
    assert "no data" in call("models", "threshold", "cxr_pneumonia", "--sensitivity", "0.9")[2]
    code, _, err = call("models", "threshold", "lv_cine", "--data", str(cohort), "--value", "0.4")
    assert (code, "no operating point" in err) == (4, True)
    code, _, err = call("models", "threshold", "cxr_pneumonia", "--data", str(cohort))
    assert "no rule" in err
    one_class = tmp_path / "one.npz"
    np.savez(one_class, val_images=np.zeros((3, 28, 28), np.uint8), val_labels=np.ones((3, 1), np.uint8))
    code, _, err = call("models", "threshold", "cxr_pneumonia", "--data", str(one_class), "--value", "0.4")
    assert (code, "0 negative" in err) == (3, True)
    assert call("models", "enable", "nothing")[0] == 3
    assert not (tmp_path / "models").exists(), "a refusal writes nothing"


def test_a_model_of_the_package_runs_at_the_site_s_threshold(tmp_path: Path, call, cohort: Path) -> None:
    code, chosen, _ = call("models", "threshold", "cxr_pneumonia", "--data", str(cohort), "--value", "0.2")
    assert code == 0
    assert chosen["operating_points"][0]["rule"] == "given by hand"
    shown = call("models", "show", "cxr_pneumonia")[1]
    assert [(p["from"], p["in_use"]) for p in shown["operating_points"]] == [("card", False), ("site", True)]
    document = call("models", "evaluate", "cxr_pneumonia", "--data", str(cohort))[1]
    assert document["threshold"] == 0.2
    back = call("models", "threshold", "cxr_pneumonia", "--card")[1]
    assert back["operating_points"][0]["threshold"] == shown["threshold"]
    assert call("models", "show", "cxr_pneumonia")[1]["operating_points"][0]["in_use"] is True


def bright_network() -> bytes:
    """An ONNX file by hand: two logits a voxel, 0 for background and ``20 * (value - 0.5)`` for bright."""
    kernel = np.zeros((2, 1, 1, 1, 1), np.float32)
    kernel[1] = 20
    weight = (
        b"".join(field(1, n) for n in kernel.shape) + field(2, 1) + field(8, "w") + field(9, kernel.tobytes())
    )
    conv = b"".join(field(1, name) for name in ("image", "w", "b")) + field(2, "logits") + field(4, "Conv")
    graph = field(1, conv) + field(2, "g") + field(5, weight) + field(5, floats("b", [0.0, -10.0]))
    graph += field(11, tensor_type("image", ("n", 1, 4, 8, 8)))
    graph += field(12, tensor_type("logits", ("n", 2, 4, 8, 8)))
    return field(1, 8) + field(8, field(1, "") + field(2, 13)) + field(7, graph)


OUTLINE = """
name = "Bright things"
version = "1.0"
kind = "segment"
mode = "measurement"
needs = { volumes = { modality = "CT" } }
intended_use = "Blocks in tests."
not_for = "Anything else."
evidence_level = 1
training_data = "none, written by hand"
licence = "Apache-2.0"

[import]
task = "segment"
channels = ["CT"]
intensities = [{ subtract = -1000, divide = 1000 }]
outputs = ["background", "bright"]
activation = "softmax"
window = [4, 8, 8]
"""


def test_a_model_that_outlines_runs_once_it_is_enabled(tmp_path: Path, call) -> None:
    models, weights, card = tmp_path / "models", tmp_path / "bright.onnx", tmp_path / "card.toml"
    weights.write_bytes(bright_network())
    card.write_text(OUTLINE)
    with pytest.raises(SystemExit):
        main(
            ["models", "import", str(weights), "--name", "bright", "--card", str(card), "--out", str(models)]
        )
    grid = Geometry.axial((6, 16, 20), (2.0, 0.8, 0.9))
    hu = np.full(grid.shape, -900, np.int16)
    hu[2:4, 5:9, 6:12] = 40
    study = SimulatedStudy(
        key="s", patient_name="SIMULATED^Block", birth=date(1960, 5, 14), day=date(2026, 5, 14)
    )
    write_ct(hu, grid, study, tmp_path / "ct", description="test", kernel="none")
    names = [a["name"] for a in call("read", str(tmp_path / "ct"))[1]["studies"][0]["analyzers"]]
    assert "bright" not in names
    assert call("models", "verify", "bright")[1]["equal"] is True
    assert call("models", "enable", "bright")[1]["state"] == "on"  # no threshold to choose: it outlines
    (registered,) = [r for r in site_analyzers(models) if r.name == "bright"]
    volume = Volume(hu.astype(np.float32), grid, "HU", Acquisition("CT"))
    (segment,) = registered.load().analyze(Inputs(volumes={"1": volume})).masks
    assert np.array_equal(segment.mask.voxels, hu == 40)
    (told,) = [
        a for a in call("read", str(tmp_path / "ct"))[1]["studies"][0]["analyzers"] if a["name"] == "bright"
    ]
    assert told["state"] == "done"
    changed = models / "bright" / "card.toml"
    changed.write_text(changed.read_text().replace('kind = "segment"', 'kind = "classify"'))
    code, _, err = call("models", "enable", "bright")
    assert code == 3
    assert "kind" in err
