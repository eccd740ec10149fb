"""Windows, presets and units as the standard defines them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
)
from tests.interop.dicom.files import instance, plain

from coread.interop.dicom import Window, arrange_series, load_series, presets, value_window


def layout(stored: Any = None, **attributes: Any) -> Any:
    (found,) = arrange_series([instance(plain(stored, **attributes))])
    return found


def test_windows_come_with_their_names() -> None:
    found = layout(
        WindowCenter=[40, -600], WindowWidth=[400, 1500], WindowCenterWidthExplanation=["SOFT", "LUNG"]
    ).windows
    assert found == (Window(40, 400, "SOFT"), Window(-600, 1500, "LUNG"))


def test_a_window_without_width_is_none() -> None:
    assert layout(WindowCenter=40, WindowWidth=0).windows == ()
    assert layout().windows == ()


def test_the_function_of_a_window_is_kept() -> None:
    (window,) = layout(WindowCenter=2048, WindowWidth=1000, VOILUTFunction="SIGMOID").windows
    assert window.function == "sigmoid"


def test_a_voi_table_gives_the_window_that_it_covers() -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTExplanation = [200, 100, 16], "NORMAL"
    table.LUTData = list(range(200))
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    found = layout(np.zeros((4, 6), np.uint16), VOILUTSequence=Sequence([table])).windows
    assert found == (Window(200, 200, "NORMAL"),)


def test_turned_over_windows_show_the_same_picture() -> None:
    """PS3.3, C.11.2.1.2: what was shown at a grey before is shown at the opposite grey after."""
    stored = np.arange(256, dtype=np.uint8).reshape(16, 16)
    film = {
        "SOPClassUID": DigitalXRayImageStorageForPresentation,
        "Modality": "DX",
        "ImagePositionPatient": None,
        "WindowCenter": 100,
        "WindowWidth": 80,
    }
    (as_it_is,) = layout(stored, **film).windows
    (turned,) = layout(stored, PhotometricInterpretation="MONOCHROME1", **film).windows

    def shown(values: np.ndarray, window: Window) -> np.ndarray:
        return np.clip((values - (window.center - 0.5)) / (window.width - 1) + 0.5, 0, 1)

    before = 1 - shown(stored.astype(float), as_it_is)  # MONOCHROME1: low values are white
    after = shown(255.0 - stored, turned)
    assert np.abs(before - after).max() <= 1 / 79 + 1e-9  # the half-value offsets of the formula


def test_presets_are_for_hounsfield_units() -> None:
    names = {w.name: (w.center, w.width) for w in presets("CT")}
    assert names["lung"] == (-600, 1500)
    assert names["brain"] == (40, 80)
    assert presets("MR") == ()


def test_a_window_of_the_values_leaves_the_extremes_out() -> None:
    values = np.concatenate([np.arange(1000.0), [1e6]])
    window = value_window(values)
    assert (window.center, window.width) == pytest.approx((500.0, 980.0))
    assert value_window(np.zeros(5)).width == 1.0


@pytest.mark.parametrize(
    ("attributes", "unit"),
    [
        ({"RescaleSlope": 1, "RescaleIntercept": -1024}, "HU"),
        ({"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"}, "HU"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "stored"),
        ({"SOPClassUID": PositronEmissionTomographyImageStorage, "Modality": "PT", "Units": "BQML"}, "Bq/mL"),
        ({"SOPClassUID": PositronEmissionTomographyImageStorage, "Modality": "PT", "Units": "GML"}, "g/mL"),
        ({"SOPClassUID": PositronEmissionTomographyImageStorage, "Modality": "PT"}, "stored"),
    ],
)
def test_units(attributes: dict[str, Any], unit: str) -> None:
    assert layout(**attributes).unit == unit


def test_a_slope_of_zero_is_none() -> None:
    stored = np.arange(24, dtype=np.int16).reshape(4, 6)
    (part,) = load_series([instance(plain(stored, RescaleSlope=0, RescaleIntercept=0))])
    assert np.array_equal(part.value.values[0], stored)
