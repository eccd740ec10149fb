"""A card to fill: what can be told from the files, what a person has to say, and what is still missing."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from coread.errors import CoreadError, DataError
from coread.recognition.importing.source import read_json
from coread.recognition.importing.specification import Specification, specification_from_table
from coread.recognition.runtime import Network

CARD_FIELDS = (
    "name",
    "version",
    "kind",
    "mode",
    "needs",
    "intended_use",
    "not_for",
    "evidence_level",
    "training_data",
    "licence",
)
IMPORT_FIELDS = ("task", "channels", "intensities", "outputs", "activation", "window")
_SAYS = {
    "version": "of the model",
    "kind": "classify or segment",
    "mode": "second-reader or measurement",
    "needs": 'what it looks at, such as { images = { modality = ["DX", "CR"], body_part = "CHEST" } } or '
    '{ volumes = { modality = "CT", minimum_slices = 10 } }',
    "intended_use": "one sentence",
    "not_for": "one sentence",
    "evidence_level": "1 technical, 2 diagnostic accuracy ... 6 societal (van Leeuwen 2021)",
    "training_data": "what it was trained on, how many patients, from where",
    "licence": "SPDX, and what the training data bind",
    "task": "classify or segment",
    "channels": "what each channel shows",
    "intensities": 'one a channel: { scale = "none" }, or min-max, z-score; low, high, subtract, divide',
    "outputs": "in the order of the network; with softmax the background first",
    "activation": "softmax, sigmoid, or none where the network did it",
    "window": "size of what the network takes",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """An imported model as it lies in its folder, whether its card is complete or not.

    Attributes:
        name: Given at import.
        folder: Where it lies.
        weights: SHA-256 of the file that runs.
        table: The card as it is, without ``[import]``.
        missing: Fields that nobody has filled.
    """

    name: str
    folder: Path
    weights: str
    table: Mapping[str, Any]
    missing: tuple[str, ...]


def read_draft(folder: Path) -> Draft:
    """Return an imported model without loading its network.

    Raises:
        DataError: There is no such model in the folder, or a file is no JSON or TOML.
    """
    document = read_json(folder / "model.json")
    try:
        table = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
        name, weights = str(document["name"]), str(document["sha256"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder.name}/card.toml can't be read ({error})", "a card as TOML") from error
    given = table.pop("import", {})
    described = {**(document.get("specification") or {}), **given}
    missing = [field for field in CARD_FIELDS if table.get(field) in (None, "", {}, [])]
    missing += [f"import.{field}" for field in IMPORT_FIELDS if described.get(field) in (None, "", {}, [])]
    return Draft(name, folder, weights, table, tuple(missing))


def drafts(folder: Path) -> dict[str, Draft | CoreadError]:
    """Return every imported model in a folder by the name of its own; an error in place of a damaged one."""
    found: dict[str, Draft | CoreadError] = {}
    for path in sorted(folder.glob("*/model.json")):
        try:
            found[path.parent.name] = read_draft(path.parent)
        except CoreadError as error:
            found[path.parent.name] = error
    return found


def preparation_digest(folder: Path) -> str:
    """Return the SHA-256 of what is done to an image before the network sees it, and of its outputs' names.

    Raises:
        DataError: The description is not complete.
    """
    _, said = description(folder)
    return hashlib.sha256(json.dumps(asdict(said), sort_keys=True).encode()).hexdigest()


def description(folder: Path) -> tuple[Specification | None, Specification]:
    """Return what was checked at import (None for a draft), and the same as the card corrects it now.

    Raises:
        DataError: The description is not complete.
    """
    checked = read_json(folder / "model.json").get("specification")
    try:
        table = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8")).get("import", {})
    except (OSError, ValueError) as error:
        raise DataError(f"{folder.name}/card.toml can't be read ({error})", "a card as TOML") from error
    now = specification_from_table({**(checked or {}), **table})
    return (None if checked is None else specification_from_table(checked)), now


def blank_card(name: str, weights: str, said: Specification | None, network: Network | None) -> str:
    """Return the text of a card to fill, with what is known of the network already in it."""
    task = said.task if said else ""
    known: dict[str, Any] = {"name": name, "kind": task}
    lines = [
        f"# The card of {name}: fill what is empty, then `coread models enable {name}`.",
        f'weights = "{weights}"',
    ]
    for field in CARD_FIELDS:
        if field == "needs":
            empty = "{}"
        elif field == "evidence_level":
            lines.append(f"# evidence_level = 1    # {_SAYS[field]}")
            continue
        else:
            empty = json.dumps(known.get(field, ""), ensure_ascii=False)
        lines.append(f"{field} = {empty}" + (f"    # {_SAYS[field]}" if field in _SAYS else ""))
    if said is None:
        lines += ["", "[import]", *_blank_import(network)]
    return "\n".join(lines) + "\n"


def _blank_import(network: Network | None) -> list[str]:
    shape = next(iter(network.inputs.values())) if network else ()
    values = dict.fromkeys(IMPORT_FIELDS, "[]") | {"task": '""', "activation": '""'}
    says = dict(_SAYS)
    if len(shape) in (4, 5):
        says["channels"] += f"; the network takes {shape[1]}"
        if all(isinstance(n, int) for n in shape[2:]):
            values["window"] = json.dumps(list(shape[2:]))
    return [f"{field} = {values[field]}    # {says[field]}" for field in IMPORT_FIELDS]
