"""The site's file comes back as it was written, and a damaged one is never taken for an empty one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coread.errors import DataError
from coread.storage.site_models import (
    Act,
    CurveBin,
    LocalValidation,
    OperatingPoint,
    SiteFigure,
    SiteModel,
    SiteModels,
)

FIGURE = SiteFigure(0.9, 0.8, 0.95)
POINT = OperatingPoint(0.25, "a" * 64, "", "given by hand", "d.npz", 9, 4, 9, FIGURE, FIGURE, "2026-05-14")
VALIDATION = LocalValidation(
    "a" * 64,
    "d.npz",
    9,
    9,
    {"auc": FIGURE},
    (CurveBin(0.1, 0.2, 0.0, 0.4, 9),),
    0.25,
    "2026-05-14",
    "coread 1",
)


def test_what_was_decided_comes_back_in_another_process(tmp_path: Path) -> None:
    made = SiteModel(True, "a" * 64, {"pneumonia": POINT}, (VALIDATION,), (Act("now", "enabled"),))
    SiteModels(tmp_path / "new").change("one", lambda _: made)
    SiteModels(tmp_path / "new").change("two", lambda old: old.having(Act("now", "disabled"), enabled=False))
    found = SiteModels(tmp_path / "new").all()
    assert found["one"] == made
    assert found["two"].enabled is False
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["site.json"], "no half-written file stays"


def test_nothing_there_is_nothing_decided(tmp_path: Path) -> None:
    assert SiteModels(tmp_path).all() == {}
    assert SiteModels(tmp_path).of("one") == SiteModel()


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(version=2),
        lambda d: d["models"]["one"].pop("enabled"),
        lambda d: d["models"]["one"].update(enabled="yes"),
        lambda d: d["models"]["one"]["thresholds"]["pneumonia"].update(threshold=1.5),
        lambda d: d["models"]["one"]["thresholds"]["pneumonia"].pop("weights"),
        lambda d: d.update(models=[]),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change) -> None:
    site = SiteModels(tmp_path)
    site.change("one", lambda _: SiteModel(True, "a" * 64, {"pneumonia": POINT}))
    document = json.loads(site.file.read_text())
    change(document)
    site.file.write_text(json.dumps(document))
    with pytest.raises(DataError):
        site.all()
    site.file.write_text("{")
    with pytest.raises(DataError, match="damaged"):
        site.all()
