"""DICOM JSON for lists and metadata, and matching of queries, by PS3.18."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from coread.errors import InputError
from coread.interop.dicom import Instance, frame_attributes
from coread.interop.dicom.attributes import quiet
from coread.storage import SeriesRow, StoredInstance, StudyRow

EXPLICIT = "1.2.840.10008.1.2.1"
Attributes = dict[str, dict[str, Any]]
_INLINE_BYTES = 256


def attribute(keyword: str, *values: object) -> Attributes:
    """Return one attribute; without values an empty one."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    representation = dictionary_VR(tag)
    found = [_json_value(representation, value) for value in values if value not in (None, "")]
    return {f"{tag:08X}": {"vr": representation, "Value": found} if found else {"vr": representation}}


def _json_value(representation: str, value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%H%M%S.%f" if representation == "TM" else "%Y%m%d")
    if isinstance(value, date):
        return value.strftime("%Y%m%d")
    return {"Alphabetic": value} if representation == "PN" else value


def study_attributes(row: StudyRow, address: str) -> Attributes:
    """Return a study as QIDO lists it, counted over what is visible."""
    return {
        **attribute("SpecificCharacterSet", "ISO_IR 192"),
        **attribute("StudyDate", row.time),
        **attribute("StudyTime", row.time),
        **attribute("AccessionNumber", row.accession),
        **attribute("InstanceAvailability", "ONLINE"),
        **attribute("ModalitiesInStudy", *row.modalities),
        **attribute("ReferringPhysicianName", row.referring),
        **attribute("StudyDescription", row.description),
        **attribute("RetrieveURL", f"{address}/studies/{row.uid}"),
        **attribute("PatientName", row.patient_name),
        **attribute("PatientID", row.patient_id),
        **attribute("PatientBirthDate", row.birth_date),
        **attribute("PatientSex", row.sex),
        **attribute("StudyInstanceUID", row.uid),
        **attribute("StudyID"),
        **attribute("NumberOfStudyRelatedSeries", row.series),
        **attribute("NumberOfStudyRelatedInstances", row.instances),
    }


def series_attributes(row: SeriesRow, address: str) -> Attributes:
    """Return a series as QIDO lists it."""
    return {
        **attribute("SpecificCharacterSet", "ISO_IR 192"),
        **attribute("Modality", row.modality),
        **attribute("SeriesDescription", row.description),
        **attribute("BodyPartExamined", row.body_part),
        **attribute("RetrieveURL", f"{address}/studies/{row.study}/series/{row.uid}"),
        **attribute("StudyInstanceUID", row.study),
        **attribute("SeriesInstanceUID", row.uid),
        **attribute("SeriesNumber", row.number),
        **attribute("NumberOfSeriesRelatedInstances", row.instances),
    }


def instance_attributes(row: StoredInstance, address: str) -> Attributes:
    """Return an instance as QIDO lists it."""
    header = row.header
    place = f"{address}/studies/{header.study}/series/{header.series}/instances/{header.instance}"
    return {
        **attribute("SpecificCharacterSet", "ISO_IR 192"),
        **attribute("SOPClassUID", header.sop_class),
        **attribute("SOPInstanceUID", header.instance),
        **attribute("InstanceAvailability", "ONLINE"),
        **attribute("RetrieveURL", place),
        **attribute("AvailableTransferSyntaxUID", *available_syntaxes(row)),
        **attribute("StudyInstanceUID", header.study),
        **attribute("SeriesInstanceUID", header.series),
        **attribute("InstanceNumber", header.instance_number),
        **attribute("NumberOfFrames", header.frames if header.frames > 1 else None),
        **attribute("Rows", header.rows),
        **attribute("Columns", header.columns),
    }


def available_syntaxes(row: StoredInstance) -> tuple[str, ...]:
    """Return the transfer syntaxes in which an instance can be had."""
    return tuple(dict.fromkeys((EXPLICIT, row.header.transfer_syntax or EXPLICIT)))


def metadata(instance: Instance, row: StoredInstance) -> bytes:
    """Return the data set of an instance as DICOM JSON, without bulk data.

    Attributes of the pixels describe the frames as they are served: decoded, colour as RGB.
    """
    with quiet():
        document = instance.dataset.to_json_dict(
            bulk_data_threshold=_INLINE_BYTES,
            bulk_data_element_handler=lambda _: "",
            suppress_invalid_tags=True,
        )
        document = _without_bulk(document)
        if row.header.frames:
            for keyword, value in frame_attributes(instance.dataset).items():
                document.update(attribute(keyword, value))
    document.update(attribute("SOPInstanceUID", row.header.instance))
    document.update(attribute("SeriesInstanceUID", row.header.series))
    document.update(attribute("StudyInstanceUID", row.header.study))
    document.update(attribute("AvailableTransferSyntaxUID", *available_syntaxes(row)))
    ordered = dict(sorted(document.items()))
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()


def _without_bulk(document: Mapping[str, Any]) -> Attributes:
    kept: Attributes = {}
    for tag, element in document.items():
        if "BulkDataURI" in element:
            continue
        if element["vr"] == "SQ":
            items = [_without_bulk(item) for item in element.get("Value", ())]
            kept[tag] = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
        else:
            kept[tag] = dict(element)
    return kept


# queries


@dataclass(frozen=True, slots=True)
class Query:
    """What a QIDO request asks for: keys to match, the part of the list, and what can't be done."""

    keys: Mapping[str, str]
    limit: int
    offset: int
    fuzzy: bool

    def matches(self, attributes: Attributes) -> bool:
        """Return whether attributes match all keys; keys that are not among them are not looked at."""
        return all(_match(attributes[tag], wanted) for tag, wanted in self.keys.items() if tag in attributes)


def read_query(pairs: Iterable[tuple[str, str]], *, default_limit: int = 1000) -> Query:
    """Return a query out of the parameters of an address.

    Raises:
        InputError: A parameter is no attribute and no part of the standard.
    """
    keys: dict[str, str] = {}
    numbers = {"limit": default_limit, "offset": 0}
    fuzzy = False
    for name, value in pairs:
        if name in numbers:
            if not value.isdecimal():
                raise InputError(f"{name}={value!r}", "a whole number from 0")
            numbers[name] = int(value)
        elif name == "fuzzymatching":
            fuzzy = value.lower() == "true"
        elif name == "includefield":
            for field in value.split(","):
                if field != "all":
                    _tag(field)
        elif name != "wait" and value:
            keys[_tag(name)] = value
    return Query(keys, numbers["limit"], numbers["offset"], fuzzy)


def _tag(name: str) -> str:
    last = name.rsplit(".", 1)[-1]
    if re.fullmatch(r"[0-9A-Fa-f]{8}", last):
        return last.upper()
    tag = tag_for_keyword(last)
    if tag is None:
        raise InputError(f"{name!r} is no attribute", "a DICOM keyword or a tag of eight hexadecimal digits")
    return f"{tag:08X}"


def _match(element: Mapping[str, Any], wanted: str) -> bool:
    values = element.get("Value", ())
    match element["vr"]:
        case "UI":
            return bool(set(re.split(r"[,\\]", wanted)) & set(values))
        case "DA" | "TM":
            return any(_in_range(str(value), wanted, element["vr"]) for value in values)
        case "PN":
            names = [value["Alphabetic"] for value in values]
            return any(_like(name, wanted) for name in names)
        case "IS" | "US":
            return wanted in [str(value) for value in values]
    return any(_like(str(value), one) for value in values for one in re.split(r"\\", wanted))


def _like(value: str, wanted: str) -> bool:
    # wildcards of DICOM are * and ?; brackets mean themselves
    pattern = wanted.replace("[", "[[]").casefold()
    return fnmatch.fnmatchcase(value.casefold(), pattern)


def _in_range(value: str, wanted: str, representation: str) -> bool:
    if "-" not in wanted:
        return value.startswith(wanted) if representation == "TM" else value == wanted
    low, _, high = wanted.partition("-")
    return (not low or value >= low) and (not high or value[: len(high)] <= high)


def joined(documents: Sequence[bytes]) -> bytes:
    """Return JSON documents as one JSON list."""
    return b"[" + b",".join(documents) + b"]"
