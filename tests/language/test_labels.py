"""Labels of chest radiographs against the gold labels of the OpenI set."""

from __future__ import annotations

import csv
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from coread.language.labels import LABELS, labels


@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        ("Heart size is borderline enlarged.", "Cardiomegaly", True),
        ("The heart is normal in size.", "Cardiomegaly", False),
        ("Possible pneumonia.", "Pneumonia", False),
        ("Calcified granuloma.", "Nodule", False),
        ("Subcutaneous emphysema.", "Emphysema", False),
        ("Indication: pneumonia.\n\nFindings: Clear lungs.", "Pneumonia", False),
        ("Kardiyomegali mevcuttur.", "Cardiomegaly", True),
    ],
)
def test_the_convention(text: str, label: str, value: bool) -> None:
    assert labels(text)[label] is value


def test_gold_labels(shared: Path) -> None:
    folder = shared / "reports"
    archive = folder / "nc_nd_openi" / "openi_reports_xml.tgz"
    if not archive.exists():
        pytest.skip("needs the texts of the OpenI reports")
    texts = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is None:
                continue
            root = ElementTree.fromstring(file.read())
            parts = {e.get("Label"): e.text or "" for e in root.iter("AbstractText")}
            said = [f"{name}: {parts[name]}" for name in ("FINDINGS", "IMPRESSION") if parts.get(name)]
            identifier = root.find("uId")
            assert identifier is not None
            texts[identifier.get("id")] = "\n\n".join(said)
    with (folder / "openi_labels.csv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if texts.get(row["filename"])]
    scored = [label for label in LABELS if label != "Hernia"]
    counts = {label: [0, 0, 0] for label in scored}
    for row in rows:
        got = labels(texts[row["filename"]], "en")
        for label in scored:
            true = row[label] == "1"
            counts[label][0] += got[label] and true
            counts[label][1] += got[label] and not true
            counts[label][2] += true and not got[label]
    both, extra, lost = (sum(c[i] for c in counts.values()) for i in range(3))
    assert 2 * both / (2 * both + extra + lost) >= 0.92
    assert sum(2 * a / (2 * a + b + c) for a, b, c in counts.values()) / len(counts) >= 0.87
