"""Categories of organs: thyroid, liver, prostate, kidney, breast, heart, brain, bone, tumour response."""

from __future__ import annotations

from coread.decision.guidelines._base import Fired, Given, Outside, guideline


@guideline(
    "acr_ti_rads",
    "2017",
    "Tessler FN et al. J Am Coll Radiol 2017;14:587-595",
    inputs="composition echogenicity shape margin foci max_mm",
    outputs="points level action",
)
def ti_rads(given: Given) -> Fired:
    """Points, level and action of a thyroid nodule."""
    given.need("composition")
    composition = {
        "cystic": 0,
        "almost_completely_cystic": 0,
        "spongiform": 0,
        "mixed": 1,
        "solid": 2,
        "almost_completely_solid": 2,
        "undetermined": 2,
    }
    echo = {"anechoic": 0, "hyper_or_iso": 1, "undetermined": 1, "hypo": 2, "very_hypo": 3}
    margin = {
        "smooth": 0,
        "ill_defined": 0,
        "undetermined": 0,
        "lobulated": 2,
        "irregular": 2,
        "lobulated_or_irregular": 2,
        "extrathyroidal": 3,
        "extrathyroidal_extension": 3,
        "extra_thyroidal_extension": 3,
    }
    foci = {
        "none": 0,
        "comet_tail": 0,
        "large_comet_tail": 0,
        "macro": 1,
        "peripheral": 2,
        "rim": 2,
        "punctate": 3,
    }
    kind = given.choice("composition", composition)
    if kind == "spongiform":
        points = 0  # nothing is added to a spongiform nodule
    else:
        given.need("echogenicity", "shape", "margin", "foci")
        shape = 3 if given.choice("shape", ("wider", "taller")) == "taller" else 0
        points = composition[kind] + echo[given.choice("echogenicity", echo)] + shape
        points += margin[given.choice("margin", margin)]
        points += sum(foci[name] for name in set(given.words("foci", foci)))
    level = 1 if points == 0 else 2 if points <= 2 else 3 if points == 3 else 4 if points <= 6 else 5
    limits = {3: (25.0, 15.0), 4: (15.0, 10.0), 5: (10.0, 5.0)}
    action = "none"
    if level in limits:
        given.need("max_mm")
        size = given.number("max_mm")
        needle, watch = limits[level]
        action = "fna" if size >= needle else "follow" if size >= watch else "none"
    return Fired(
        {"points": points, "level": f"TR{level}", "action": action}, f"{points} points, TR{level}: {action}"
    )


@guideline(
    "li_rads_ctmr",
    "v2018",
    "ACR CT/MRI LI-RADS v2018 diagnostic table",
    inputs="nonrim_aphe size_mm additional_major at_risk age",
    outputs="category",
)
def li_rads(given: Given) -> Fired:
    """Category of an observation by the major features."""
    if not given.flag("at_risk", default=True):
        raise Outside("only for patients at high risk of hepatocellular carcinoma")
    if given.has("age") and given.number("age") < 18:
        raise Outside("not for patients below 18 years")
    given.need("nonrim_aphe", "size_mm", "additional_major")
    size = given.number("size_mm")
    features = set(given.words("additional_major", ("washout", "capsule", "threshold_growth")))
    count = len(features)
    if not given.flag("nonrim_aphe"):
        category = "LR-4" if count >= 2 or (count == 1 and size >= 20) else "LR-3"
        band = "<20 mm" if size < 20 else ">=20 mm"
        return Fired({"category": category}, f"no nonrim enhancement, {band}, {count} further major features")
    if size < 10:
        category, band = ("LR-4" if count else "LR-3"), "<10 mm"
    elif size < 20:
        band = "10-19 mm"
        category = "LR-3" if not count else "LR-4" if features == {"capsule"} else "LR-5"
    else:
        category, band = ("LR-5" if count else "LR-4"), ">=20 mm"
    named = ", ".join(sorted(features)) or "no further major feature"
    return Fired({"category": category}, f"nonrim enhancement, {band}, {named}")


@guideline(
    "pi_rads",
    "v2.1",
    "Turkbey B et al. Eur Urol 2019;76:340-351 (PI-RADS v2.1)",
    inputs="zone dwi t2w dce_positive",
    outputs="category",
)
def pi_rads(given: Given) -> Fired:
    """Category of a prostate lesion from its scores."""
    given.need("zone")

    def score(name: str) -> int:
        value = given.number(name, low=1, high=5)
        return int(value)

    if given.choice("zone", ("peripheral", "transition")) == "peripheral":
        given.need("dwi")
        dwi = score("dwi")
        if dwi != 3:
            return Fired({"category": dwi}, f"peripheral zone, DWI {dwi}")
        raised = given.flag("dce_positive")
        return Fired(
            {"category": 4 if raised else 3},
            f"peripheral zone, DWI 3, DCE {'positive' if raised else 'negative'}",
        )
    given.need("t2w")
    t2w = score("t2w")
    if t2w in (2, 3):
        dwi = score("dwi")
        raised = dwi >= 4 if t2w == 2 else dwi == 5
        return Fired({"category": t2w + raised}, f"transition zone, T2W {t2w}, DWI {dwi}")
    return Fired({"category": t2w}, f"transition zone, T2W {t2w}")


@guideline(
    "bosniak",
    "2019",
    "Silverman SG et al. Radiology 2019;292:475-488",
    inputs="wall_mm septa septa_mm nodule fluid_hu enhancing_wall wall_enhancing wall_smooth "
    "wall_irregular septa_enhancing septa_smooth septa_irregular enhancing_nodule_mm "
    "nodule_margin calcification",
    outputs="class_",
)
def bosniak(given: Given) -> Fired:
    """Class of a cystic renal mass; the answer stands under ``class_``."""
    if given.has("enhancing_nodule_mm"):
        given.need("nodule_margin")
        size = given.number("enhancing_nodule_mm")
        margin = given.choice("nodule_margin", ("obtuse", "acute"))
        if size > 0 and (margin == "acute" or size >= 4):
            return Fired({"class_": "IV"}, f"enhancing nodule, {margin} margins, {size:g} mm")
        if size > 0:
            return Fired({"class_": "III"}, "irregular thickening: obtuse protrusion of 3 mm or less")
    given.need("wall_mm", "septa")
    wall, septa = given.number("wall_mm"), given.number("septa")
    for name in ("wall", "septa"):
        uneven = given.flag(f"{name}_irregular", default=False) or not given.flag(
            f"{name}_smooth", default=True
        )
        if uneven and _enhances(given, name):
            return Fired({"class_": "III"}, f"irregular enhancing {name}")
    if septa:
        given.need("septa_mm")
    thick = {"wall": wall, "septa": given.number("septa_mm") if septa else 0.0}
    for name, width in thick.items():
        if width >= 4 and _enhances(given, name):
            return Fired({"class_": "III"}, f"thick enhancing {name}, {width:g} mm")
    for name, width in thick.items():
        if 2 < width < 4 and _enhances(given, name):
            return Fired({"class_": "IIF"}, f"minimally thick enhancing {name}, {width:g} mm")
    if septa >= 4 and _enhances(given, "septa"):
        return Fired({"class_": "IIF"}, "many (4 or more) thin enhancing septa")
    if septa:
        return Fired({"class_": "II"}, "thin wall, few or not enhancing thin septa")
    if given.flag("calcification", default=False):
        return Fired({"class_": "II"}, "thin wall with calcification")
    given.need("fluid_hu")
    fluid = given.number("fluid_hu", low=-100, high=3000)
    if -9 <= fluid <= 20:
        return Fired({"class_": "I"}, "thin wall, simple fluid of -9 to 20 HU")
    if fluid >= 70 or 20 < fluid <= 30:
        return Fired({"class_": "II"}, f"thin wall, homogeneous content of {fluid:g} HU")
    raise Outside(
        f"content of {fluid:g} HU without septa needs a look at enhancement before it can be classified"
    )


def _enhances(given: Given, part: str) -> bool:
    if part == "wall" and given.has("enhancing_wall"):
        return given.flag("enhancing_wall")
    return given.flag(f"{part}_enhancing")


@guideline(
    "cad_rads",
    "2.0",
    "Cury RC et al. JACC Cardiovasc Imaging 2022;15:1974-2001 (CAD-RADS 2.0)",
    inputs="max_stenosis_pct vessel vessels_70_or_more nondiagnostic",
    outputs="category",
)
def cad_rads(given: Given) -> Fired:
    """Category of the worst coronary stenosis."""
    if given.flag("nondiagnostic", default=False):
        return Fired({"category": "N"}, "not diagnostic")
    given.need("max_stenosis_pct")
    worst = given.number("max_stenosis_pct", high=100)
    if worst == 100:
        return Fired({"category": "5"}, "occlusion")
    if given.has("vessel") and str(given.inputs["vessel"]) == "left_main" and worst >= 50:
        return Fired({"category": "4B"}, "left main, >=50 %")
    if given.has("vessels_70_or_more") and given.number("vessels_70_or_more") >= 3 and worst >= 70:
        return Fired({"category": "4B"}, "three vessels, >=70 %")
    for low, category, band in (
        (70, "4A", "70-99 %"),
        (50, "3", "50-69 %"),
        (25, "2", "25-49 %"),
        (1e-9, "1", "1-24 %"),
    ):
        if worst >= low:
            return Fired({"category": category}, band)
    return Fired({"category": "0"}, "no stenosis")


@guideline(
    "cad_rads_plaque",
    "2.0",
    "Cury RC et al. JACC Cardiovasc Imaging 2022;15:1974-2001 (CAD-RADS 2.0)",
    inputs="agatston",
    outputs="modifier",
)
def cad_rads_plaque(given: Given) -> Fired:
    """Modifier for the amount of plaque by calcium score."""
    score = given.number("agatston")
    for high, modifier in ((0, "P0"), (100, "P1"), (300, "P2"), (999, "P3")):
        if score <= high:
            return Fired({"modifier": modifier}, f"calcium score up to {high}")
    return Fired({"modifier": "P4"}, "calcium score of 1000 and more")


@guideline(
    "bi_rads", "5", "ACR BI-RADS Atlas, 5th ed. (2013)", inputs="category", outputs="risk_pct management"
)
def bi_rads(given: Given) -> Fired:
    """Band of the risk of cancer of a stated category; no category is derived from descriptors."""
    bands: dict[str, tuple[list[int | None], str]] = {
        "0": ([None, None], "additional_imaging"),
        "1": ([0, 0], "routine"),
        "2": ([0, 0], "routine"),
        "3": ([0, 2], "short_interval_6_months"),
        "4": ([2, 95], "tissue_diagnosis"),
        "4A": ([2, 10], "tissue_diagnosis"),
        "4B": ([10, 50], "tissue_diagnosis"),
        "4C": ([50, 95], "tissue_diagnosis"),
        "5": ([95, 100], "tissue_diagnosis"),
        "6": ([None, None], "treatment_as_appropriate"),
    }
    category = given.choice("category", bands)
    risk, management = bands[category]
    return Fired({"risk_pct": risk, "management": management}, f"category {category}")


@guideline(
    "aspects", "2000", "Barber PA et al. Lancet 2000;355:1670-1674", inputs="affected", outputs="score"
)
def aspects(given: Given) -> Fired:
    """Ten less one for each affected region; a region counts once."""
    regions = ("caudate", "lentiform", "internal_capsule", "insula", "M1", "M2", "M3", "M4", "M5", "M6")
    affected = set(given.words("affected", regions))
    return Fired({"score": 10 - len(affected)}, f"{len(affected)} of 10 regions affected")


@guideline(
    "genant",
    "1993",
    "Genant HK et al. J Bone Miner Res 1993;8:1137-1148",
    inputs="height_loss_pct",
    outputs="grade",
)
def genant(given: Given) -> Fired:
    """Grade of a vertebral fracture by loss of height."""
    loss = given.number("height_loss_pct", high=100)
    for low, grade, band in ((40, 3, "over 40 %"), (25, 2, "over 25 to 40 %")):
        if loss > low:
            return Fired({"grade": grade}, band)
    return Fired({"grade": 1}, "20 to 25 %") if loss >= 20 else Fired({"grade": 0}, "under 20 %")


@guideline(
    "kellgren_lawrence",
    "1957",
    "Kellgren JH, Lawrence JS. Ann Rheum Dis 1957;16:494-502",
    inputs="description",
    outputs="grade",
)
def kellgren_lawrence(given: Given) -> Fired:
    """Grade of osteoarthritis by its description."""
    grades = {
        "none": 0,
        "doubtful_narrowing_possible_lipping": 1,
        "definite_osteophytes_possible_narrowing": 2,
        "moderate_multiple_osteophytes_definite_narrowing_some_sclerosis_possible_deformity": 3,
        "large_osteophytes_marked_narrowing_severe_sclerosis_definite_deformity": 4,
    }
    description = given.choice("description", grades)
    return Fired({"grade": grades[description]}, description.replace("_", " "))


@guideline(
    "recist",
    "1.1",
    "Eisenhauer EA et al. Eur J Cancer 2009;45:228-247 (RECIST 1.1)",
    inputs="baseline_sum_mm nadir_sum_mm current_sum_mm new_lesion",
    outputs="response",
)
def recist(given: Given) -> Fired:
    """Response of the target lesions; progression is 20 % and 5 mm over the smallest sum, or a new lesion."""
    if given.flag("new_lesion", default=False):
        return Fired({"response": "PD"}, "new lesion")
    given.need("baseline_sum_mm", "nadir_sum_mm", "current_sum_mm", "new_lesion")
    baseline, nadir, current = (given.number(f"{name}_sum_mm") for name in ("baseline", "nadir", "current"))
    more = round(current - nadir, 6)
    if more > 0 and (nadir == 0 or (more >= 5 and more >= 0.2 * nadir - 1e-9)):
        return Fired({"response": "PD"}, "20 % and 5 mm over the smallest sum")
    if current == 0:
        return Fired({"response": "CR"}, "all target lesions gone")
    if current <= 0.7 * baseline + 1e-9:
        return Fired({"response": "PR"}, "30 % or more below baseline")
    return Fired({"response": "SD"}, "neither response nor progression")
