"""Lung nodules: Fleischner 2017, Lung-RADS v2022, Brock, Mayo, Herder, growth."""

from __future__ import annotations

import math
from typing import Any

from coread.decision.guidelines._base import Fired, Given, Outside, guideline

_FLEISCHNER = "MacMahon H et al. Radiology 2017;284:228-243, table 1"
_LUNG_RADS = "ACR Lung-RADS v2022"


def half_up(value: float) -> int:
    """Return the nearest whole number, .5 up (not to even)."""
    return math.floor(value + 0.5 + 1e-9)


@guideline(
    "fleischner",
    "2017",
    _FLEISCHNER,
    inputs="type mean_diameter_mm count risk age immunosuppressed known_cancer screening",
    outputs="action first_months then_months then",
)
def fleischner(given: Given) -> Fired:
    """Follow-up of an incidental nodule on CT; the mean diameter is rounded to whole millimetres."""
    if given.has("age") and given.number("age") < 35:
        raise Outside("the recommendations are for patients of 35 years and older")
    if given.flag("immunosuppressed", default=False):
        raise Outside("the recommendations are not for immunosuppressed patients")
    if given.flag("known_cancer", default=False):
        raise Outside("the recommendations are not for patients with a known primary cancer")
    if given.flag("screening", default=False):
        raise Outside("nodules of lung cancer screening follow Lung-RADS")
    given.need("type", "mean_diameter_mm", "count")
    kind = given.choice("type", ("solid", "part_solid", "ground_glass"))
    size = half_up(given.number("mean_diameter_mm"))
    single = given.choice("count", ("single", "multiple")) == "single"
    count = "single" if single else "multiple"
    if kind != "solid":
        return _fleischner_subsolid(kind, size, single=single)
    given.need("risk")
    high = given.choice("risk", ("low", "high")) == "high"
    risk = "high" if high else "low"
    if size < 6:
        row = f"solid, {count}, <6 mm, {risk} risk"
        if high:
            return Fired({"action": "optional_ct", "first_months": [12, 12]}, row)
        return Fired({"action": "none"}, row)
    if single and size > 8:
        return Fired({"action": "ct_pet_or_biopsy", "first_months": [3, 3]}, "solid, single, >8 mm")
    result: dict[str, Any] = {
        "action": "ct",
        "first_months": [6, 12] if single else [3, 6],
        "then_months": [18, 24],
        "then": "do" if high else "consider",
    }
    band = "6-8 mm" if size <= 8 else ">8 mm"
    return Fired(result, f"solid, {count}, {band}, {risk} risk")


def _fleischner_subsolid(kind: str, size: int, *, single: bool) -> Fired:
    name = kind.replace("_", " ")
    if single:
        if size < 6:
            return Fired({"action": "none"}, f"{name}, single, <6 mm")
        if kind == "ground_glass":
            return Fired(
                {"action": "ct", "first_months": [6, 12], "then": "every_2_years_until_5_years"},
                "ground glass, single, >=6 mm",
            )
        return Fired(
            {"action": "ct", "first_months": [3, 6], "then": "annual_for_5_years_if_solid_below_6mm"},
            "part solid, single, >=6 mm",
        )
    if size < 6:
        return Fired(
            {"action": "ct", "first_months": [3, 6], "then_months": [24, 48], "then": "consider"},
            "subsolid, multiple, <6 mm",
        )
    return Fired(
        {"action": "ct", "first_months": [3, 6], "then": "by_most_suspicious"}, "subsolid, multiple, >=6 mm"
    )


@guideline(
    "fleischner_mean_diameter",
    "2017",
    f"{_FLEISCHNER} (average of long and short axis, nearest mm; .5 up)",
    inputs="long_mm short_mm",
    outputs="rounded_mm",
)
def mean_diameter(given: Given) -> Fired:
    """Mean of the two axes in whole millimetres."""
    given.need("long_mm", "short_mm")
    return Fired(
        {"rounded_mm": half_up((given.number("long_mm") + given.number("short_mm")) / 2)}, "mean of both axes"
    )


_NODULES = (
    "none",
    "solid",
    "part_solid",
    "ground_glass",
    "juxtapleural_benign_shape",
    "airway_subsegmental",
    "airway_segmental_or_proximal",
    "cyst_thin_walled",
    "cyst_thick_walled",
    "cyst_multilocular",
    "cyst_becomes_multilocular",
)
_CHANGES = (
    "new",
    "growing",
    "slowly_growing",
    "stable",
    "decreased",
    "resolved",
    "wall_growing",
    "cyst_growing",
)


@guideline(
    "lung_rads",
    "v2022",
    _LUNG_RADS,
    inputs="issue nodule mean_mm solid_mm benign exam change prior_category suspicious_features",
    outputs="category",
)
def lung_rads(given: Given) -> Fired:
    """Category of a screening CT by its most suspicious nodule."""
    if given.has("issue"):
        return Fired({"category": "0"}, f"incomplete: {given.inputs['issue']}")
    given.need("nodule")
    kind = given.choice("nodule", _NODULES)
    if kind == "none":
        return Fired({"category": "1"}, "no nodule")
    if given.has("benign"):
        return Fired({"category": "1"}, f"nodule with benign feature: {given.inputs['benign']}")
    given.need("exam")
    followup = given.choice("exam", ("baseline", "followup")) == "followup"
    change = given.choice("change", _CHANGES) if given.has("change") else None
    if change == "resolved":
        return Fired({"category": "2"}, "resolved at follow-up")
    prior = str(given.inputs["prior_category"]) if given.has("prior_category") else None
    if followup and change in ("stable", "decreased") and prior in ("3", "4A"):
        return Fired(
            {"category": "2" if prior == "3" else "3"}, f"category {prior}, stable or smaller at follow-up"
        )
    category, row = _lung_rads(given, kind, followup=followup, change=change)
    if given.flag("suspicious_features", default=False) and category in ("3", "4A", "4B"):
        return Fired({"category": "4X"}, f"{row}; with further suspicious features")
    return Fired({"category": category}, row)


def _lung_rads(given: Given, kind: str, *, followup: bool, change: str | None) -> tuple[str, str]:
    if kind.startswith("airway"):
        if kind == "airway_subsegmental":
            return "2", "airway nodule, subsegmental"
        if followup and change in ("stable", "growing", "slowly_growing"):
            return "4B", "airway nodule, segmental or more proximal, stable or growing"
        return "4A", "airway nodule, segmental or more proximal, at baseline or new"
    if kind.startswith("cyst"):
        return _cyst(kind, change)
    if kind == "juxtapleural_benign_shape":
        if given.number("mean_mm") < 10:
            return "2", "juxtapleural nodule of benign shape, <10 mm"
        kind = "solid"
    if kind == "ground_glass":
        if given.number("mean_mm") < 30:
            return "2", "ground glass, <30 mm"
        if change in ("stable", "slowly_growing", "decreased"):
            return "2", "ground glass, >=30 mm, stable or slowly growing"
        return "3", "ground glass, >=30 mm"
    if kind == "part_solid":
        return _part_solid(given, change)
    size = given.number("mean_mm")
    bands: tuple[tuple[float, str], ...]
    if change == "new":
        bands = ((4, "2"), (6, "3"), (8, "4A"), (math.inf, "4B"))
    elif change in ("growing", "slowly_growing"):
        bands = ((8, "4A"), (math.inf, "4B"))
    else:
        bands = ((6, "2"), (8, "3"), (15, "4A"), (math.inf, "4B"))
    return _band(size, bands, f"solid, {change or 'baseline'}")


def _band(size: float, bands: tuple[tuple[float, str], ...], name: str) -> tuple[str, str]:
    low = 0.0
    for high, category in bands:
        if size < high:
            limits = f">={low:g} mm" if high == math.inf else f"{low:g} to <{high:g} mm"
            return category, f"{name}, {limits}"
        low = high
    raise AssertionError("the last band has no end")


def _part_solid(given: Given, change: str | None) -> tuple[str, str]:
    given.need("mean_mm")
    total = given.number("mean_mm")
    fresh = change in ("new", "growing")
    if total < 6 and change != "growing":
        return ("3", "part solid, new, <6 mm") if change == "new" else ("2", "part solid, <6 mm")
    given.need("solid_mm")
    solid = given.number("solid_mm", high=total)
    if fresh:
        return _band(solid, ((4, "4A"), (math.inf, "4B")), f"part solid, {change}, solid part")
    return _band(solid, ((6, "3"), (8, "4A"), (math.inf, "4B")), "part solid, >=6 mm, solid part")


def _cyst(kind: str, change: str | None) -> tuple[str, str]:
    if kind == "cyst_thin_walled":
        raise Outside("thin-walled cysts are taken as benign and are not classified")
    if kind == "cyst_becomes_multilocular":
        return "4A", "cyst that became multilocular"
    if kind == "cyst_multilocular":
        if change in ("growing", "wall_growing"):
            return "4B", "multilocular cyst, growing"
        return "4A", "multilocular cyst"
    if change in ("wall_growing", "growing"):
        return "4B", "thick-walled cyst, wall or nodule growing"
    if change == "cyst_growing":
        return "3", "thick-walled cyst, cystic part growing"
    return "4A", "thick-walled cyst"


@guideline("lung_rads_management", "v2022", _LUNG_RADS, inputs="category", outputs="next")
def lung_rads_management(given: Given) -> Fired:
    """What follows from a category."""
    following = {
        "0": "complete_the_examination",
        "1": "ldct_12",
        "2": "ldct_12",
        "3": "ldct_6",
        "4A": "ldct_3",
        "4B": "diagnostic_ct_pet_or_biopsy",
        "4X": "diagnostic_ct_pet_or_biopsy",
    }
    category = given.choice("category", following)
    return Fired({"next": following[category]}, f"category {category}")


@guideline(
    "lung_rads_growth",
    "v2022",
    f"{_LUNG_RADS} (increase in mean diameter > 1.5 mm within 12 months)",
    inputs="prior_mean_mm current_mean_mm months",
    outputs="growing",
)
def lung_rads_growth(given: Given) -> Fired:
    """Whether a nodule grows: more than 1.5 mm within 12 months."""
    given.need("prior_mean_mm", "current_mean_mm", "months")
    more = round(given.number("current_mean_mm") - given.number("prior_mean_mm"), 6)
    months = given.number("months")
    growing = more > 1.5 and months <= 12
    notes = ("a rise over more than 12 months is slow growth",) if more > 1.5 and months > 12 else ()
    return Fired({"growing": growing}, f"{more:+g} mm in {months:g} months", notes)


def _sigma(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@guideline(
    "brock_full_2b",
    "2013",
    "McWilliams A et al. N Engl J Med 2013;369:910-919 (model 2b)",
    inputs="age female family_history emphysema diameter_mm type upper_lobe nodule_count spiculation",
    outputs="probability",
)
def brock(given: Given) -> Fired:
    """Probability that a nodule of screening is cancer."""
    given.need(
        "age",
        "female",
        "family_history",
        "emphysema",
        "diameter_mm",
        "type",
        "upper_lobe",
        "nodule_count",
        "spiculation",
    )
    kinds = {"solid": 0.0, "nonsolid": -0.1276, "part_solid": 0.3770}
    z = (
        -6.78917
        + 0.0286687 * (given.number("age", high=120) - 62)
        + 0.6011 * given.flag("female")
        + 0.296109 * given.flag("family_history")
        + 0.2953112 * given.flag("emphysema")
        - 5.385484 * ((given.number("diameter_mm", low=0.1) / 10) ** -0.5 - 1.58113883)
        + kinds[given.choice("type", kinds)]
        + 0.6581383 * given.flag("upper_lobe")
        - 0.0824156 * (given.number("nodule_count", low=1) - 4)
        + 0.7729335 * given.flag("spiculation")
    )
    note = "made on screening; outside it calibration is weaker (Chung K et al. Thorax 2018)"
    return Fired({"probability": _sigma(z)}, "logistic model 2b", (note,))


def _mayo(given: Given) -> float:
    given.need(
        "age", "ever_smoker", "extrathoracic_cancer_over_5y", "diameter_mm", "spiculation", "upper_lobe"
    )
    return _sigma(
        -6.8272
        + 0.0391 * given.number("age", high=120)
        + 0.7917 * given.flag("ever_smoker")
        + 1.3388 * given.flag("extrathoracic_cancer_over_5y")
        + 0.1274 * given.number("diameter_mm")
        + 1.0407 * given.flag("spiculation")
        + 0.7838 * given.flag("upper_lobe")
    )


_MAYO_INPUTS = "age ever_smoker extrathoracic_cancer_over_5y diameter_mm spiculation upper_lobe"


@guideline(
    "mayo_spn",
    "1997",
    "Swensen SJ et al. Arch Intern Med 1997;157:849-855",
    inputs=_MAYO_INPUTS,
    outputs="probability",
)
def mayo(given: Given) -> Fired:
    """Probability that a solitary nodule is malignant."""
    probability = _mayo(given)
    outside = given.number("diameter_mm") > 30
    return Fired(
        {"probability": probability}, "logistic model", ("made on nodules of 4 to 30 mm",) if outside else ()
    )


@guideline(
    "herder",
    "2005",
    "Herder GJ et al. Chest 2005;128:2490-2496",
    inputs=f"{_MAYO_INPUTS} fdg_uptake",
    outputs="probability",
)
def herder(given: Given) -> Fired:
    """Probability of malignancy with the uptake of FDG, on top of the Mayo model."""
    first = _mayo(given)
    uptake = {"none": 0.0, "faint": 2.322, "moderate": 4.617, "intense": 4.771}
    word = given.choice("fdg_uptake", uptake)
    return Fired(
        {"probability": _sigma(-4.739 + 3.691 * first + uptake[word])}, f"logistic model, uptake {word}"
    )


@guideline(
    "volume_doubling_time",
    "diameter",
    "Schwartz M. Cancer 1961;14:1272-1294 (exponential growth; negative = shrinking)",
    inputs="d1_mm d2_mm days",
    outputs="vdt_days",
)
def volume_doubling_time(given: Given) -> Fired:
    """Doubling time of the volume from two diameters."""
    given.need("d1_mm", "d2_mm", "days")
    first, second = given.number("d1_mm", low=1e-6), given.number("d2_mm", low=1e-6)
    if first == second:
        raise Outside("no growth: two equal diameters have no doubling time")
    days = given.number("days", low=1e-6) * math.log(2) / (3 * math.log(second / first))
    return Fired({"vdt_days": round(days, 2)}, "days ln 2 / (3 ln (d2/d1))")
