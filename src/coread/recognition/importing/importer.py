"""One door for models from outside: recognise the format, read, convert, check, write with a card."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from coread.errors import DataError, InputError
from coread.recognition.importing.checkpoints import read_checkpoint, state_dict
from coread.recognition.importing.chest_films import read_densenet
from coread.recognition.importing.conversion import check_same, load_script, onnx_of, torch_predictor
from coread.recognition.importing.densenet import current_names
from coread.recognition.importing.draft import Draft, blank_card, read_draft
from coread.recognition.importing.fit import check_answer, check_input
from coread.recognition.importing.imported import ImportedModel, load_imported, model_document, read_card
from coread.recognition.importing.lungmask import read_lungmask
from coread.recognition.importing.monai_bundle import read_bundle
from coread.recognition.importing.nnunet import read_nnunet
from coread.recognition.importing.source import Source
from coread.recognition.importing.specification import Specification, specification_from_table
from coread.recognition.inference import network_predictor
from coread.recognition.runtime import Network

Format = Literal["monai-bundle", "nnunet", "onnx", "torchscript", "state-dict"]


def format_of(path: Path) -> Format:
    """Return the format of a model by its files.

    Raises:
        InputError: There is nothing at the path.
        DataError: It is none of the known formats.
    """
    if not path.exists():
        raise InputError(f"nothing at {path}", "a model's file or folder")
    if path.is_dir():
        if (path / "configs" / "metadata.json").is_file():
            return "monai-bundle"
        if (path / "plans.json").is_file() and (path / "dataset.json").is_file():
            return "nnunet"
        raise DataError(
            f"a folder {path.name} of unknown layout",
            "a MONAI bundle (configs/metadata.json) or nnU-Net results (plans.json, dataset.json)",
        )
    if path.suffix.lower() == ".onnx":
        return "onnx"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any("/code/" in name for name in archive.namelist()):
                return "torchscript"
    return "state-dict"


def import_model(
    source: Path, *, name: str, card: Path, out: Path, force: bool = False, threads: int = 1
) -> ImportedModel:
    """Return a model from outside, written as a folder of its own that needs its first home no more.

    Torch networks become ONNX where that is possible, and the ONNX file must agree with the original to
    1e-4; a TorchScript network that can't be converted is kept and needs torch to run.

    Args:
        source: MONAI bundle folder, nnU-Net v2 or TotalSegmentator results folder, ONNX, TorchScript, or
            a state dict of a CheXNet-type DenseNet-121, TorchXRayVision or lungmask.
        name: Of the model here: letters, digits, ``-`` and ``_``.
        card: TOML, with what no file says: intended use, evidence, licence. A table ``[import]`` gives or
            corrects fields of `Specification`.
        out: Folder in which the folder ``name`` is made: ``model.onnx`` or ``model.ts``, ``model.json``,
            ``card.toml``.
        force: Whether an existing one is replaced.
        threads: Of ONNX Runtime.

    Raises:
        InputError: A name that can't be used, or that is taken.
        DataError: The files can't be used, contradict each other or the card, or the converted network
            says something else.
        MissingExtraError: torch is needed and not installed.
    """
    target = _target(name, out, force=force)
    said, table, text = read_card(card)
    read = _read(source, format_of(source), table)
    if read.specification is None:
        specification = specification_from_table(table)
    else:
        specification = read.specification.with_table(table)
    file, content, difference, notes = _runnable(read, specification)
    digest = hashlib.sha256(content).hexdigest()
    if said.weights not in (None, digest):
        raise DataError(
            f"a card for weights {said.weights}",
            f"these weights, {digest}",
            "leave `weights` out of the card",
        )
    if said.weights is None and (said.threshold is not None or said.calibration is not None):
        raise DataError(
            "a card with a threshold or calibration for unnamed weights",
            "an operating point chosen with exactly these weights",
            f'leave both out, or add weights = "{digest}" if they were chosen with them',
        )
    line = "" if said.weights else f'weights = "{digest}"\n'
    _write(target, read, specification, file, content, line + text, difference, notes, threads=threads)
    return load_imported(target, threads=threads)


def import_draft(source: Path, *, name: str, out: Path, force: bool = False) -> Draft:
    """Return a model from outside, written as `import_model` does, with a card to fill.

    What the files tell is in the card already. Nothing runs until it is complete: `load_imported` checks
    it against the network then.

    Args:
        source: As `import_model`; TorchScript and files whose outputs only a card can name need one at once.
        name: Of the model here.
        out: Folder in which the folder ``name`` is made.
        force: Whether an existing one is replaced.

    Raises:
        InputError: A name that can't be used, or that is taken.
        DataError: The files can't be used, or only a card can say how.
        MissingExtraError: torch is needed and not installed.
    """
    target = _target(name, out, force=force)
    read = _read(source, format_of(source), {})
    if read.specification is not None:
        file, content, difference, notes = _runnable(read, read.specification)
    elif read.onnx is not None:
        file, content, difference, notes = "model.onnx", read.onnx, None, ()
    else:
        raise DataError(
            f"{source.name}, which says nothing of what it takes",
            "a card with a table [import]",
            "write one and add --card",
        )
    network = Network(content) if file == "model.onnx" else None
    text = blank_card(name, hashlib.sha256(content).hexdigest(), read.specification, network)
    _write(target, read, read.specification, file, content, text, difference, notes, threads=None)
    return read_draft(target)


def _target(name: str, out: Path, *, force: bool) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(f"the name {name!r}", "letters, digits, - and _")
    target = out / name
    if target.exists() and not force:
        raise InputError(f"{target} is there already", "a new name", "choose another, or use --force")
    return target


def _write(
    target: Path,
    read: Source,
    specification: Specification | None,
    file: str,
    content: bytes,
    card: str,
    difference: float | None,
    notes: tuple[str, ...],
    *,
    threads: int | None,
) -> None:
    """Write the folder of a model at once; it is read back first where `threads` are given."""
    document = model_document(
        target.name,
        file,
        hashlib.sha256(content).hexdigest(),
        specification,
        format=read.format,
        source={path.name: _file_digest(path) for path in read.files},
        difference=difference,
        notes=[*read.notes, *notes],
    )
    out = target.parent
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        made = Path(folder) / target.name
        made.mkdir()
        (made / file).write_bytes(content)
        (made / "model.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        (made / "card.toml").write_text(card, encoding="utf-8")
        if threads is not None:
            load_imported(made, threads=threads)  # nothing is put in place that can't be read back
        if target.exists():
            target.rename(Path(folder) / "before")  # goes with the temporary folder
        made.rename(target)


def _read(source: Path, kind: Format, table: Mapping[str, Any]) -> Source:
    match kind:
        case "monai-bundle":
            return read_bundle(source, table)
        case "nnunet":
            return read_nnunet(source)
        case "onnx":
            return Source("onnx", None, (source,), onnx=source.read_bytes())
        case "torchscript":
            return Source("torchscript", None, (source,), script=source)
    return _read_state_dict(source, table)


def _read_state_dict(source: Path, table: Mapping[str, Any]) -> Source:
    weights = state_dict(read_checkpoint(source), source.name)
    outputs = tuple(table["outputs"]) if "outputs" in table else None
    if "features.conv0.weight" in current_names(weights):
        return read_densenet(source, weights, outputs)
    if "down_path.0.block.0.weight" in weights and "last.weight" in weights:
        return read_lungmask(source, weights, outputs)
    raise DataError(
        f"{source.name} holds a state dict of an unknown network ({next(iter(weights))} ...)",
        "DenseNet-121 of CheXNet or TorchXRayVision, or lungmask's U-Net",
        "export it to ONNX or TorchScript where it was made and import that",
    )


def _runnable(read: Source, said: Specification) -> tuple[str, bytes, float | None, tuple[str, ...]]:
    """The file that will run, how far it is from the original, and what there is to say about it."""
    shape = (len(said.channels), *said.window)
    if read.onnx is not None:
        network = Network(read.onnx)
        check_input(network, said)
        check_answer(network_predictor(network), said)
        return "model.onnx", read.onnx, None, ()
    original = load_script(read.script) if read.script is not None else read.network
    check_answer(torch_predictor(original), said)
    try:
        content = onnx_of(original, shape, script=read.script is not None)
        return "model.onnx", content, check_same(content, original, shape), ()
    except DataError as error:
        if read.script is None:
            raise
        note = f"runs in torch as TorchScript, not converted: {error.came}"
        return "model.ts", read.script.read_bytes(), None, (note,)


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
