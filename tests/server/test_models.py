"""The models of a site over HTTP: state, operating points, local validation, calibration, also of a draft."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from coread.recognition import registry
from coread.recognition.importing import import_draft
from coread.recognition.metrics import Estimate
from coread.recognition.operating import CalibrationBin, Scored
from coread.recognition.registry import Evaluation
from coread.recognition.runtime import read_weights
from coread.server.app import create_app
from coread.storage import Library
from coread.workflow import models as site

NOW = datetime(2026, 5, 14, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def client(tmp_path: Path, folder: Path):
    with Library.open(tmp_path / "library") as library:
        app = create_app(library, models=folder)
        with TestClient(app, base_url="http://127.0.0.1") as client:
            yield client


def card(client: TestClient, name: str) -> dict:
    answer = client.get(f"/api/v1/models/{name}")
    assert answer.status_code == 200
    return answer.json()


def cases() -> Scored:
    scores = np.array([0.1, 0.2, 0.4, 0.3, 0.6, 0.9])
    return Scored("pneumonia", "ours.npz", np.array([0, 0, 0, 1, 1, 1]), scores, tuple("abcdef"), None)


def test_a_model_says_that_it_was_not_validated_here_and_then_what_it_reached(
    client: TestClient, folder: Path
) -> None:
    before = card(client, "cxr_pneumonia")
    assert (before["state"], before["validation"]) == ("on", None)
    (point,) = before["operating_points"]
    assert (point["source"], point["threshold"], point["in_use"]) == ("card", before["threshold"], True)
    site.choose_threshold("cxr_pneumonia", folder, cases(), at=NOW, sensitivity=1.0)
    weights = registry.card("cxr_pneumonia").weights or ""
    bins = (CalibrationBin(0.2, Estimate(0.25, 0.1, 0.5), 4),)
    figures = {"auc": Estimate(8 / 9, 0.5, 1.0)}
    result = Evaluation("cxr_pneumonia", "1.0.0", weights, "ours.npz", 6, 6, figures, curve=bins)
    site.record_evaluation("cxr_pneumonia", folder, result, at=NOW)
    after = card(client, "cxr_pneumonia")
    (chosen,) = [p for p in after["operating_points"] if p["in_use"]]
    assert chosen["source"] == "site"
    assert 0.2 < chosen["threshold"] < 0.3
    assert chosen["sensitivity"]["value"] == 1.0
    assert chosen["specificity"]["value"] == pytest.approx(2 / 3)
    assert after["validation"]["cases"] == 6
    assert after["validation"]["metrics"]["auc"]["value"] == pytest.approx(8 / 9)
    assert [curve["source"] for curve in after["curves"]] == ["card", "site"]
    site.disable("cxr_pneumonia", folder, at=NOW)
    assert card(client, "cxr_pneumonia")["state_cause"] == "site"


def test_an_imported_model_is_shown_before_its_card_is_complete(
    client: TestClient, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(read_weights("cxr_pneumonia.onnx", registry.card("cxr_pneumonia").weights or ""))
    import_draft(file, name="theirs", out=folder)
    shown = card(client, "theirs")
    assert (shown["state"], shown["state_cause"], shown["origin"]) == ("off", "card", "imported")
    assert shown["evidence_level"] is None
    assert "intended_use" in shown["state_reason"]
    assert "theirs" in {each["id"] for each in client.get("/api/v1/models").json()}
