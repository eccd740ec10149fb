"""Plain formulas: stenosis, volumes, washout, kidney function, likelihood ratios."""

from __future__ import annotations

import math

from coread.decision.guidelines._base import Fired, Given, Outside, guideline
from coread.errors import InputError

_Z95 = 1.959964


@guideline(
    "nascet", "1991", "NASCET. N Engl J Med 1991;325:445-453", inputs="stenosis_mm distal_mm", outputs="pct"
)
def nascet(given: Given) -> Fired:
    """Stenosis of the internal carotid artery in percent of the distal diameter."""
    given.need("stenosis_mm", "distal_mm")
    narrow, distal = given.number("stenosis_mm"), given.number("distal_mm", low=1e-6)
    if narrow > distal:
        raise Outside(
            "the narrowest diameter is larger than the distal one: no stenosis, or a collapsed distal artery"
        )
    return Fired({"pct": 100 * (1 - narrow / distal)}, "100 (1 - stenosis/distal)")


def _axes(given: Given) -> float:
    given.need("a_mm", "b_mm", "c_mm")
    return given.number("a_mm") * given.number("b_mm") * given.number("c_mm")


@guideline(
    "abc_over_2",
    "1996",
    "Kothari RU et al. Stroke 1996;27:1304-1305",
    inputs="a_mm b_mm c_mm",
    outputs="volume_ml",
)
def abc_over_2(given: Given) -> Fired:
    """Volume of a haematoma."""
    return Fired({"volume_ml": _axes(given) / 2000}, "a b c / 2")


@guideline("ellipsoid", "pi/6", "geometry", inputs="a_mm b_mm c_mm", outputs="volume_ml")
def ellipsoid(given: Given) -> Fired:
    """Volume of an ellipsoid from its three diameters."""
    return Fired({"volume_ml": math.pi * _axes(given) / 6000}, "pi a b c / 6")


@guideline(
    "adrenal_washout",
    "15min",
    "Caoili EM et al. Radiology 2002;222:629-633",
    inputs="unenhanced_hu portal_hu delayed_hu",
    outputs="absolute_pct relative_pct",
)
def adrenal_washout(given: Given) -> Fired:
    """Absolute and relative washout of an adrenal lesion after 15 minutes."""
    given.need("portal_hu", "delayed_hu")
    portal = given.number("portal_hu", low=-200)
    delayed = given.number("delayed_hu", low=-200)
    if portal <= 0:
        raise Outside("washout needs an enhancing lesion: the portal phase is not above 0 HU")
    result = {"relative_pct": 100 * (portal - delayed) / portal}
    notes: tuple[str, ...] = ()
    if given.has("unenhanced_hu"):
        plain = given.number("unenhanced_hu", low=-200)
        if portal <= plain:
            raise Outside("washout needs an enhancing lesion: the portal phase is not above the plain one")
        result["absolute_pct"] = 100 * (portal - delayed) / (portal - plain)
    else:
        notes = ("absolute washout needs unenhanced_hu",)
    return Fired(result, "absolute (P-D)/(P-U), relative (P-D)/P", notes)


@guideline(
    "egfr_ckd_epi",
    "2021",
    "Inker LA et al. N Engl J Med 2021;385:1737-1749",
    inputs="creatinine_mg_dl age female",
    outputs="egfr",
)
def egfr(given: Given) -> Fired:
    """Estimated glomerular filtration rate in mL/min/1.73 m2."""
    given.need("creatinine_mg_dl", "age", "female")
    age = given.number("age", high=120)
    if age < 18:
        raise Outside("the equation is for adults of 18 years and older")
    female = given.flag("female")
    kappa, alpha = (0.7, -0.241) if female else (0.9, -0.302)
    ratio = given.number("creatinine_mg_dl", low=1e-3) / kappa
    value = 142 * min(ratio, 1) ** alpha * max(ratio, 1) ** -1.200 * 0.9938**age * (1.012 if female else 1)
    return Fired({"egfr": value}, "CKD-EPI 2021, creatinine")


@guideline(
    "likelihood_ratio",
    "2x2",
    "Altman DG et al. Statistics with Confidence, 2nd ed. 2000 (log method)",
    inputs="tp fn fp tn",
    outputs="lr_pos lr_pos_ci lr_neg lr_neg_ci",
)
def likelihood_ratio(given: Given) -> Fired:
    """Likelihood ratios of a two by two table with 95 % intervals; empty cells leave them undefined."""
    given.need("tp", "fn", "fp", "tn")
    tp, fn, fp, tn = (given.number(name) for name in ("tp", "fn", "fp", "tn"))
    if tp + fn == 0 or fp + tn == 0:
        raise Outside("a table without patients of one kind has no likelihood ratio")
    sensitivity, specificity = tp / (tp + fn), tn / (fp + tn)
    result: dict[str, object] = {"lr_pos": None, "lr_pos_ci": None, "lr_neg": None, "lr_neg_ci": None}
    notes = []
    if fp:
        positive = sensitivity / (1 - specificity)
        result["lr_pos"] = positive
        if tp:
            result["lr_pos_ci"] = _interval(positive, 1 / tp - 1 / (tp + fn) + 1 / fp - 1 / (fp + tn))
    if tn:
        negative = (1 - sensitivity) / specificity
        result["lr_neg"] = negative
        if fn:
            result["lr_neg_ci"] = _interval(negative, 1 / fn - 1 / (tp + fn) + 1 / tn - 1 / (fp + tn))
    if not (tp and fn and fp and tn):
        notes.append("a cell is empty: the interval (or the ratio) is not defined")
    return Fired(result, "Se/(1-Sp) and (1-Se)/Sp", tuple(notes))


def _interval(ratio: float, variance: float) -> list[float]:
    half = _Z95 * math.sqrt(max(variance, 0.0))
    return [math.exp(math.log(ratio) - half), math.exp(math.log(ratio) + half)]


@guideline(
    "bayes_update",
    "odds",
    "Bayes (conditional independence)",
    inputs="prior likelihood_ratios",
    outputs="posterior",
)
def bayes_update(given: Given) -> Fired:
    """Probability after findings that are independent given the disease."""
    given.need("prior", "likelihood_ratios")
    prior = given.number("prior", high=1)
    ratios = given.inputs["likelihood_ratios"]
    ratios = ratios if isinstance(ratios, (list, tuple)) else [ratios]
    if any(isinstance(r, bool) or not isinstance(r, (int, float)) or r < 0 for r in ratios):
        raise InputError(
            f"likelihood_ratios is {ratios!r}", "expected a list of numbers from 0", "correct it"
        )
    if prior in (0, 1):
        return Fired({"posterior": prior}, "a certain prior stays certain")
    odds = prior / (1 - prior) * math.prod(ratios)
    return Fired({"posterior": odds / (1 + odds)}, "odds times likelihood ratios")
