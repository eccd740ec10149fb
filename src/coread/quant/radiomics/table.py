"""The result of an extraction: one row a feature, with everything needed to know what it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from coread.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Flag = Literal["ibsi", "outside", "pyradiomics"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A feature of the reference manual.

    Attributes:
        tag: Short name, such as ``cm_contrast``.
        family: Family it belongs to, such as ``glcm``.
        family_id: IBSI code of the family.
        name: Name in the manual.
        ibsi_id: IBSI code of the feature.
        unit: UCUM unit; ``intensity``, ``intensity2`` and ``intensity.mm3`` stand for the image's own.
    """

    tag: str
    family: str
    family_id: str
    name: str
    ibsi_id: str
    unit: str


@cache
def catalogue() -> Mapping[str, Definition]:
    """Return the 169 features of the reference manual by tag, in its order."""
    text = (files("coread.quant.radiomics") / "data" / "features.csv").read_text("utf-8")
    _, *lines = text.splitlines()
    found = {}
    for line in lines:
        tag, family, family_id, *name, ibsi_id, unit = line.split(",")
        found[tag] = Definition(tag, family, family_id, ",".join(name).strip('"'), ibsi_id, unit)
    return MappingProxyType(found)


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of one region.

    Attributes:
        label: Region.
        family: Feature family.
        feature: Tag, or the name that PyRadiomics gives.
        ibsi_id: IBSI code; empty where none exists.
        aggregation: How matrices were aggregated; empty for families without.
        discretisation: Grey levels used, such as ``FBS:25``; empty where none.
        filter: Image filter; empty for the image itself.
        value: The number; None where it is not defined.
        reason: Why there is no number; empty otherwise.
        flag: Standardised (``ibsi``), ``outside`` the standard, or as ``pyradiomics`` has it.
        unit: UCUM unit, or the image's.
    """

    label: str
    family: str
    feature: str
    ibsi_id: str
    aggregation: str
    discretisation: str
    filter: str
    value: float | None
    reason: str
    flag: Flag
    unit: str

    @property
    def column(self) -> str:
        """Name of the column in a wide table."""
        parts = (self.filter, self.feature, self.aggregation, self.discretisation.replace(":", ""))
        return ".".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The features of the regions of one image.

    Attributes:
        features: One row a feature.
        diagnostics: By region: sizes and intensities after each processing step.
        notes: By region: what was done to bring image and mask together, what is missing.
        case: Name of the case.
    """

    features: tuple[Feature, ...]
    diagnostics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    case: str = ""

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def __len__(self) -> int:
        return len(self.features)

    @property
    def labels(self) -> tuple[str, ...]:
        """The regions, in order."""
        return tuple(dict.fromkeys(item.label for item in self.features))

    def value(
        self, feature: str, *, label: str | None = None, aggregation: str = "", filter_code: str = ""
    ) -> float | None:
        """Return one number; None where it is not defined.

        Raises:
            InputError: No such feature, or several (name the label).
        """
        found = [
            item
            for item in self.features
            if (item.feature, item.aggregation, item.filter) == (feature, aggregation, filter_code)
            and label in (None, item.label)
        ]
        if len(found) != 1:
            raise InputError(
                f"{len(found)} features are called {feature!r} with aggregation {aggregation!r} and "
                f"filter {filter_code!r}; name label, aggregation and filter of one that was extracted"
            )
        return found[0].value

    def frame(self) -> pd.DataFrame:
        """Return a long table: one row a feature."""
        import pandas as pd

        names = [item.name for item in fields(Feature)]
        rows = [[getattr(item, name) for name in names] for item in self.features]
        table = pd.DataFrame(rows, columns=names)
        table["value"] = table["value"].astype(float)
        table.insert(0, "case", self.case)
        return table

    def wide(self) -> pd.DataFrame:
        """Return a wide table: one row a region, one column a feature."""
        import pandas as pd

        rows: dict[str, dict[str, float | str | None]] = {}
        for item in self.features:
            row = rows.setdefault(item.label, {"case": self.case, "label": item.label})
            row[item.column] = item.value
        return pd.DataFrame(list(rows.values()))


def joined(tables: Iterable[FeatureTable]) -> pd.DataFrame:
    """Return the long tables of several cases as one."""
    import pandas as pd

    return pd.concat([table.frame() for table in tables], ignore_index=True)
