"""What tags may say of a picture of each part of the body, and whether they contradict it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from coread.core import CodedConcept

_FILMS = frozenset({"CR", "DX", "RG"})
_WHOLE = ("WHOLEBODY", "TRUNK", "BODY")

# Beginnings of words in Body Part Examined (DICOM PS3.16, annex L, and what scanners write), by region.
_REGIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "head": (
            *(
                "HEAD",
                "BRAIN",
                "SKULL",
                "CRANI",
                "FACE",
                "FACIAL",
                "ORBIT",
                "EYE",
                "SINUS",
                "IAC",
                "PITUITARY",
            ),
            *("JAW", "MANDIBLE", "MAXILLA", "NASAL", "NOSE", "TMJ", "EAR", "TEMPORAL", "MASTOID", "SELLA"),
            *("CEREB", "HIPPOCAMPUS", "ZYGOMA", "TONGUE", "MOUTH", "TEETH", "TOOTH"),
        ),
        "neck": ("NECK", "CSPINE", "CERVICAL", "LARYNX", "PHARYNX", "THYROID", "CAROTID", "CTSPINE"),
        "chest": (
            *("CHEST", "THORA", "LUNG", "HEART", "CARDI", "CORONARY", "RIB", "STERN", "MEDIASTIN", "AORTA"),
            *("BREAST", "MAMM", "AXILLA", "CLAVICLE", "SCAPULA", "SHOULDER", "TSPINE", "CTSPINE", "TLSPINE"),
            *("BRONCH", "TRACHEA", "ESOPH", "OESOPH", "DIAPHRAGM", "PULMON"),
        ),
        "abdomen": (
            *("ABD", "PELVI", "LIVER", "HEPAT", "SPLEEN", "KIDNEY", "RENAL", "PANCREAS", "ADRENAL", "GALL"),
            *("BILIAR", "BILE", "COLON", "BOWEL", "RECTUM", "STOMACH", "BLADDER", "URETER", "URINARY", "KUB"),
            *(
                "PROSTATE",
                "UTERUS",
                "OVARY",
                "HIP",
                "LSPINE",
                "LUMBAR",
                "LSSPINE",
                "SSPINE",
                "SACR",
                "COCCYX",
            ),
            *("SIJ", "TLSPINE", "GROIN", "ILIAC", "AORTA", "APPENDIX", "DUODEN", "INTESTIN", "DIAPHRAGM"),
        ),
        "spine": ("SPINE", "VERTEBRA"),
        "hand": ("HAND", "WRIST", "FINGER", "THUMB", "CARP", "METACARP", "SCAPHOID"),
        "arm": ("ARM", "FOREARM", "ELBOW", "HUMERUS", "RADIUS", "ULNA", "UPPEREXT", "UPEXM"),
        "limb": ("EXTREMITY", "LIMB", "BONEAGE"),
        "leg": (
            *("LEG", "KNEE", "ANKLE", "FOOT", "FEET", "TOE", "FEMUR", "THIGH", "TIBIA", "FIBULA", "PATELLA"),
            *("CALCAN", "HEEL", "LOWEREXT", "LOWEXM", "CALF"),
        ),
    }
)
_LONGEST_FIRST = sorted({word for words in _REGIONS.values() for word in words}, key=lambda w: (-len(w), w))


@dataclass(frozen=True, slots=True)
class ShownPart:
    """A part of the body as one kind of machine shows it.

    Attributes:
        words: For people.
        site: Code of the body part.
        modalities: Which make such pictures.
        regions: Which a tag may name, with their neighbours on such a picture.
    """

    words: str
    site: CodedConcept
    modalities: frozenset[str]
    regions: frozenset[str]


def _part(words: str, code: str, meaning: str, modalities: frozenset[str], regions: str) -> ShownPart:
    return ShownPart(words, CodedConcept(code, "SCT", meaning), modalities, frozenset(regions.split()))


_CT, _MR = frozenset({"CT"}), frozenset({"MR"})
PARTS: Mapping[str, ShownPart] = MappingProxyType(
    {
        "AbdomenCT": _part(
            "a CT of the abdomen or pelvis", "818982008", "Abdomen and Pelvis", _CT, "abdomen chest spine"
        ),
        "BreastMRI": _part("an MR of the breasts", "76752008", "Breast", _MR, "chest"),
        "CXR": _part("a frontal radiograph of the chest", "816094009", "Chest", _FILMS, "chest spine"),
        "ChestCT": _part("a CT of the chest", "816094009", "Chest", _CT, "chest abdomen neck spine arm"),
        "Hand": _part("a radiograph of a hand", "85562004", "Hand", _FILMS, "hand arm limb"),
        "HeadCT": _part("a CT of the head", "69536005", "Head", _CT, "head neck spine"),
    }
)
"""The parts that the model knows, by MedNIST's names and in the order of its numbers."""


def regions_named(tag: str | None) -> frozenset[str]:
    """Return the regions that a Body Part Examined names; none where it is absent or not understood.

    Examples:
        >>> sorted(regions_named("CHESTABDPELVIS"))
        ['abdomen', 'chest']
        >>> regions_named("OTHER")
        frozenset()
    """
    letters = "".join(c for c in (tag or "").upper() if c.isalpha())
    if letters in _WHOLE:
        return frozenset()
    regions: set[str] = set()
    for word in _LONGEST_FIRST:  # so that the heart is no ear
        if word in letters:
            letters = letters.replace(word, " ")
            regions |= {region for region, beginnings in _REGIONS.items() if word in beginnings}
    return frozenset(regions)


def disagreement(
    part: str, *, modality: str, body_part: str | None = None, view: CodedConcept | None = None
) -> str | None:
    """Return what the tags say that doesn't fit the part shown, in words; None where nothing contradicts.

    Args:
        part: One of `PARTS`.
        modality: Of the picture.
        body_part: Body Part Examined, or None.
        view: Of a projection, or None.

    Examples:
        >>> disagreement("Hand", modality="DX", body_part="CHEST")
        'Body Part Examined CHEST'
        >>> disagreement("CXR", modality="DX", body_part="CHEST") is None
        True
    """
    shown = PARTS[part]
    against: list[str] = []
    slices = {"CT", "MR"}  # not told apart well enough by their pixels to say one is the other
    if modality not in shown.modalities and not {modality, *shown.modalities} <= slices:
        against.append(f"Modality {modality}")
    named = regions_named(body_part)
    if named and not named & shown.regions:
        against.append(f"Body Part Examined {body_part}")
    if part == "CXR" and view is not None and "lateral" in view.meaning.lower().replace("-", " ").split():
        against.append(f"a view named {view.meaning}")
    return " and ".join(against) or None
