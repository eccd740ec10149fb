"""Codes that reports need beside the finding vocabulary: sections, decisions, statuses, changes, procedures.

DICOM, SNOMED CT and LOINC where they have a code, our own scheme ``99COREAD`` for the steps of the second
reading; those have at most 16 characters, so that every reader finds them where it looks (Code Value).
"""

from __future__ import annotations

from collections.abc import Mapping

from coread.core import CodedConcept
from coread.core.finding import Change, Status
from coread.core.reading import Choice
from coread.core.report import SectionName


def _own(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "99COREAD", meaning)


def _dcm(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "DCM", meaning)


def _sct(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "SCT", meaning)


def _loinc(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "LN", meaning)


FINDING = _dcm("121071", "Finding")
COMMENT = _dcm("121106", "Comment")
LATERALITY = _sct("272741003", "Laterality")
MEASUREMENT_METHOD = _sct("370129005", "Measurement Method")
YES = _sct("373066001", "Yes")
NO = _sct("373067005", "No")
UPPER_UNCERTAINTY = _sct("371886008", "+, range of upper measurement uncertainty")
LOWER_UNCERTAINTY = _sct("371885007", "-, range of lower measurement uncertainty")
# DICOM's certainty of a device in a finding, from 0 to 100
CERTAINTY = _dcm("111012", "Certainty of Finding")
ADDENDUM = _dcm("121078", "Addendum")

LONG_AXIS = _sct("103339001", "Long axis")
SHORT_AXIS = _sct("103340004", "Short axis")

PRESENCE = _dcm("121052", "Presence of property")
PRESENCES: Mapping[Status, CodedConcept] = {
    "present": _dcm("121053", "Present"),
    "absent": _dcm("121054", "Absent"),
    "uncertain": _dcm("121059", "Presence Undetermined"),
    "historical": _own("historical", "Present in the past"),
    "no_opinion": _own("no-opinion", "The model abstains"),
}
CHANGE = _own("change", "Change against the prior study")
CHANGES: Mapping[Change, CodedConcept] = {
    "new": _sct("129721008", "New finding"),
    "larger": _sct("15454001", "Increase in size"),
    "smaller": _sct("19776001", "Decrease in size"),
    "unchanged": _sct("260388006", "No change"),
    "resolved": _own("resolved", "Resolved"),
}
SUBJECT = _own("subject", "Subject of the statement")
OTHER_SUBJECT = _own("other-person", "Another person than the patient")

THRESHOLD = _own("threshold", "Operating point")
CALIBRATED = _own("calibrated", "Calibrated on data the model was not fitted to")
INTERVAL = _own("interval", "Interval: level and method")
LIMITATION = _own("limitation", "What limits the number")
DECISION = _own("reader-decision", "Decision of the reader on the model's finding")
DECISIONS: Mapping[Choice, CodedConcept] = {
    "accept": _own("accepted", "Accepted"),
    "modify": _own("modified", "Modified"),
    "reject": _own("rejected", "Rejected"),
}
REASON = _own("reject-reason", "Reason of the rejection")
REASONS: Mapping[str, CodedConcept] = {
    "artefact": _own("rej-artefact", "Artefact"),
    "anatomical_variant": _own("rej-variant", "Anatomical variant"),
    "known_prior": _own("rej-known", "Known from a prior study"),
    "below_threshold": _own("rej-threshold", "Below the reader's threshold"),
    "wrong_location": _own("rej-location", "Wrong location"),
    "other": _own("rej-other", "Other reason"),
}
MODIFIED_FROM = _own("modified-from", "The model's finding before the reader's change")
NOT_ACCEPTED = _own("not-accepted", "Findings of models that the reader rejected")
MODEL_FINDING = _own("model-finding", "Finding of a model")
NO_FINDING = _own("no-finding", "No finding")
SENTENCE = _own("sentence", "Sentence")
TEMPLATE = _own("template", "Sentence of a report template")
IMPORTED = _own("imported", "Sentence taken from elsewhere")
EDITED_FROM = _own("edited-from", "The sentence before a reader's change")
ACCEPTED_BY = _own("accepted-by", "Accepted by")
MODE = _own("model-mode", "How the model is used")
WEIGHTS = _own("weights-digest", "SHA-256 of the model's weights")
RESEARCH_USE = _own("research-use", "Research use only; not a medical device")
SIMULATED = _own("simulated", "Simulated images")
LIMITS = _own("limits", "Limits of use")

SECTIONS: Mapping[SectionName, CodedConcept] = {
    "exam": _loinc("55115-0", "Request"),
    "indication": _loinc("18785-6", "Reason for study"),
    "technique": _loinc("55111-9", "Current imaging procedure descriptions"),
    "comparison": _loinc("18834-2", "Comparison study"),
    "findings": _loinc("18782-3", "Study observation"),
    "impression": _loinc("19005-8", "Imaging study impression"),
    "recommendations": _loinc("18783-1", "Recommendations"),
    "communication": _loinc("73568-8", "Communication of critical results"),
    "dose": _loinc("73569-6", "Radiation exposure and protection information"),
}
# a report in words (TID 2000): title, headings and elements of CID 7000, 7001 and 7002
RADIOLOGY_REPORT_TITLE = _loinc("11528-7", "Radiology Report")
FINDINGS_HEADING = _loinc("59776-5", "Findings")
ADDENDUM_HEADING = _loinc("55107-7", "Addendum")
ELEMENTS: Mapping[SectionName, CodedConcept] = {
    "exam": _loinc("55115-0", "Request"),
    "technique": _dcm("121065", "Procedure Description"),
    "comparison": _dcm("121069", "Previous Finding"),
    "findings": FINDING,
    "impression": _dcm("121073", "Impression"),
    "recommendations": _dcm("121075", "Recommendation"),
}
_PROCEDURES: Mapping[str, CodedConcept] = {
    "CT": _loinc("25045-6", "CT unspecified body region"),
    "MR": _loinc("25056-3", "MRI unspecified body region"),
    "PT": _loinc("44136-0", "PET unspecified body region"),
    "NM": _loinc("49118-3", "NM unspecified body region"),
    "CR": _loinc("43468-8", "XR unspecified body region"),
    "DX": _loinc("43468-8", "XR unspecified body region"),
}
IMAGING_PROCEDURE = _sct("363679005", "Imaging procedure")
RADIOLOGY_REPORT = _loinc("18748-4", "Diagnostic imaging study")


def procedure(modality: str) -> CodedConcept:
    """Return the procedure of a modality (DICOM CID 100), or imaging procedure for others."""
    return _PROCEDURES.get(modality, IMAGING_PROCEDURE)
