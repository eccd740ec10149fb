"""The codes that CoRead speaks: findings with their parents, anatomy, measurements, maps.

SNOMED CT identifiers are used where one is well known, DICOM's own codes for what DICOM defines, and the
scheme ``99COREAD`` where none does: listed here, and for the parts of a report in `coread.interop.codes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from coread.core.codes import CodedConcept
from coread.errors import InputError


def _sct(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "SCT", meaning)


def _own(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "99COREAD", meaning)


# sides
RIGHT = _sct("24028007", "Right")
LEFT = _sct("7771000", "Left")
BILATERAL = _sct("51440002", "Right and left")

# anatomy
THORAX = _sct("816094009", "Thorax")
LUNG = _sct("39607008", "Lung")
RIGHT_LUNG = _sct("3341006", "Right lung")
LEFT_LUNG = _sct("44029006", "Left lung")
AIRWAYS = _sct("89187006", "Airways")
HEART = _sct("80891009", "Heart")
UPPER_LOBE = _sct("45653009", "Upper lobe of lung")
MIDDLE_LOBE = _sct("72481006", "Middle lobe of right lung")
LOWER_LOBE = _sct("90572001", "Lower lobe of lung")
BRAIN = _sct("12738006", "Brain")
BREAST = _sct("76752008", "Breast")
BONE = _sct("272673000", "Bone")

ANTERIOR_HIPPOCAMPUS = _own("hippocampus-ant", "Anterior part of hippocampus")
POSTERIOR_HIPPOCAMPUS = _own("hippocampus-post", "Posterior part of hippocampus")

# findings
ABNORMALITY = _own("finding", "Abnormality")
LUNG_OPACITY = _own("lung-opacity", "Lung opacity")
CONSOLIDATION = _own("consolidation", "Consolidation")
PNEUMONIA = _sct("233604007", "Pneumonia")
PULMONARY_EDEMA = _sct("19242006", "Pulmonary edema")
ATELECTASIS = _sct("46621007", "Atelectasis")
LUNG_LESION = _own("lung-lesion", "Lung lesion")
LUNG_NODULE = _own("lung-nodule", "Lung nodule")
LUNG_MASS = _own("lung-mass", "Lung mass")
EMPHYSEMA = _sct("87433001", "Pulmonary emphysema")
FIBROSIS = _own("lung-fibrosis", "Lung fibrosis")
PLEURAL_ABNORMALITY = _own("pleural", "Pleural abnormality")
PLEURAL_EFFUSION = _sct("60046008", "Pleural effusion")
PLEURAL_THICKENING = _own("pleural-thick", "Pleural thickening")
PLEURAL_PLAQUE = _own("pleural-plaque", "Pleural plaque")
PNEUMOTHORAX = _sct("36118008", "Pneumothorax")
CARDIOMEGALY = _sct("8186001", "Cardiomegaly")
LYMPHADENOPATHY = _sct("30746006", "Lymphadenopathy")
PULMONARY_EMBOLISM = _sct("59282003", "Pulmonary embolism")
HIATAL_HERNIA = _sct("84089009", "Hiatal hernia")
FRACTURE = _sct("125605004", "Fracture of bone")
INTRACRANIAL_HEMORRHAGE = _sct("1386000", "Intracranial hemorrhage")
ISCHEMIC_STROKE = _sct("422504002", "Ischemic stroke")
WHITE_MATTER_LESION = _own("wm-lesion", "White matter lesion")
BREAST_LESION = _own("breast-lesion", "Breast lesion")
BREAST_MASS = _own("breast-mass", "Breast mass")
BREAST_SUSPICION = _own("breast-suspicion", "Breast mass suspicious of malignancy")
BREAST_CALCIFICATION = _own("breast-calc", "Breast calcification")
ADRENAL_LESION = _own("adrenal-lesion", "Adrenal hyperplasia or mass")
OTHER_FINDING = _own("other", "Other finding")

# measurements
VOLUME = CodedConcept("118565006", "SCT", "Volume")
DIAMETER = CodedConcept("81827009", "SCT", "Diameter")
LENGTH = CodedConcept("410668003", "SCT", "Length")
AREA = CodedConcept("42798000", "SCT", "Area")
MEAN_LUNG_DENSITY = _own("lung-density", "Mean lung density")
LAA_950 = _own("laa-950", "Low attenuation area below -950 HU")
PERC_15 = _own("perc15", "15th percentile of lung density")
IMAGE_NOISE = _own("image-noise", "Image noise")
MASS_WIDTH = _own("mass-width", "Width of mass along the skin")
MASS_HEIGHT = _own("mass-height", "Height of mass towards the depth")
CIRCULARITY = _own("circularity", "Circularity of outline")
SOLIDITY = _own("solidity", "Solidity of outline")
AXIS_RATIO = _own("axis-ratio", "Long over short axis")
ELLIPSE_OVERLAP = _own("ellipse-overlap", "Overlap with an ellipse")
SHOWN_PART = _own("shown-part", "Probability of the body part shown")
EXPOSURE_CLIPPING = _own("clipping", "Part of the pixels at the ends of the range")

# maps
CLASS_ACTIVATION = _own("class-activation", "Class activation")
GRAD_CAM = _own("grad-cam", "Gradient-weighted class activation")
INTEGRATED_GRADIENTS = _own("integrated-grads", "Integrated gradients")
OCCLUSION = _own("occlusion", "Occlusion sensitivity")
RISE = _own("rise", "Importance by random masks")
LOW_ATTENUATION = _own("low-attenuation", "Lung below -950 HU")
PROBABILITY_MAP = _own("probability-map", "Probability")

_PARENTS: Mapping[CodedConcept, CodedConcept] = MappingProxyType(
    {
        LUNG_OPACITY: ABNORMALITY,
        CONSOLIDATION: LUNG_OPACITY,
        PNEUMONIA: CONSOLIDATION,
        PULMONARY_EDEMA: LUNG_OPACITY,
        ATELECTASIS: LUNG_OPACITY,
        LUNG_LESION: ABNORMALITY,
        LUNG_NODULE: LUNG_LESION,
        LUNG_MASS: LUNG_LESION,
        EMPHYSEMA: ABNORMALITY,
        FIBROSIS: ABNORMALITY,
        PLEURAL_ABNORMALITY: ABNORMALITY,
        PLEURAL_EFFUSION: PLEURAL_ABNORMALITY,
        PLEURAL_THICKENING: PLEURAL_ABNORMALITY,
        PLEURAL_PLAQUE: PLEURAL_THICKENING,
        PNEUMOTHORAX: PLEURAL_ABNORMALITY,
        CARDIOMEGALY: ABNORMALITY,
        LYMPHADENOPATHY: ABNORMALITY,
        PULMONARY_EMBOLISM: ABNORMALITY,
        HIATAL_HERNIA: ABNORMALITY,
        FRACTURE: ABNORMALITY,
        INTRACRANIAL_HEMORRHAGE: ABNORMALITY,
        ISCHEMIC_STROKE: ABNORMALITY,
        WHITE_MATTER_LESION: ABNORMALITY,
        BREAST_LESION: ABNORMALITY,
        BREAST_MASS: BREAST_LESION,
        BREAST_SUSPICION: BREAST_MASS,
        BREAST_CALCIFICATION: BREAST_LESION,
        ADRENAL_LESION: ABNORMALITY,
        OTHER_FINDING: ABNORMALITY,
    }
)


def findings() -> tuple[CodedConcept, ...]:
    """Return every concept of the finding vocabulary, the root first."""
    return (ABNORMALITY, *_PARENTS)


def parent(concept: CodedConcept) -> CodedConcept | None:
    """Return the parent of a finding, or None for the root and for concepts from elsewhere."""
    return _PARENTS.get(concept)


def ancestors(concept: CodedConcept) -> Iterator[CodedConcept]:
    """Yield the parent, its parent, and so on."""
    above = parent(concept)
    while above is not None:
        yield above
        above = parent(above)


def is_a(concept: CodedConcept, other: CodedConcept) -> bool:
    """Return whether a concept is another one or descends from it.

    Examples:
        >>> is_a(PNEUMONIA, LUNG_OPACITY), is_a(LUNG_OPACITY, PNEUMONIA)
        (True, False)
    """
    return concept == other or other in ancestors(concept)


def finding(value: str, scheme: str | None = None) -> CodedConcept:
    """Return a finding by its code.

    Raises:
        InputError: The vocabulary has no such code.
    """
    for concept in findings():
        if concept.value == value and scheme in (None, concept.scheme):
            return concept
    raise InputError(f"the finding vocabulary has no code {value!r}; `findings()` lists them")
