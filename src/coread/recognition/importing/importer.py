"""One door for models from outside: recognise the format, read, convert, check, write with a card."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
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
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(f"the name {name!r}", "letters, digits, - and _")
    target = out / name
    if target.exists() and not force:
        raise InputError(f"{target} is there already", "a new name", "choose another, or use --force")
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
    document = model_document(
        name,
        file,
        digest,
        specification,
        format=read.format,
        source={path.name: _file_digest(path) for path in read.files},
        difference=difference,
        notes=[*read.notes, *notes],
    )
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        made = Path(folder) / name
        made.mkdir()
        (made / file).write_bytes(content)
        (made / "model.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        line = "" if said.weights else f'weights = "{digest}"\n'
        (made / "card.toml").write_text(line + text, encoding="utf-8")
        load_imported(made, threads=threads)  # nothing is put in place that can't be read back
        if target.exists():
            shutil.rmtree(target)
        made.rename(target)
    return load_imported(target, threads=threads)


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
        predict = network_predictor(network)
        ((_, wanted),) = network.inputs.items()
        _check_input(wanted, said)
        said.check_network(shape[0], _outputs(predict, shape))
        return "model.onnx", read.onnx, None, ()
    original = load_script(read.script) if read.script is not None else read.network
    predict = torch_predictor(original)
    said.check_network(shape[0], _outputs(predict, shape))
    try:
        content = onnx_of(original, shape, script=read.script is not None)
        return "model.onnx", content, check_same(content, original, shape), ()
    except DataError as error:
        if read.script is None:
            raise
        note = f"runs in torch as TorchScript, not converted: {error.came}"
        return "model.ts", read.script.read_bytes(), None, (note,)


def _check_input(wanted: tuple[int | str, ...], said: Specification) -> None:
    have = (len(said.channels), *said.window)
    fits = len(wanted) == len(have) + 1 and all(
        isinstance(w, str) or w is None or w == h for w, h in zip(wanted[1:], have, strict=True)
    )
    if not fits:
        raise DataError(
            f"a network whose input is {wanted}",
            f"cases, {len(said.channels)} channels and a window of {said.window}",
            "correct channels or window in the table [import] of the card",
        )


def _outputs(predict: Any, shape: tuple[int, ...]) -> int:
    import numpy as np

    try:
        return int(predict(np.zeros((1, *shape), np.float32)).shape[1])
    except (RuntimeError, IndexError, InputError) as error:
        raise DataError(
            f"the network refuses an input of {shape[0]} channels and {shape[1:]} ({str(error)[:200]})",
            "channels and window as the network takes them",
            "correct them in the table [import] of the card",
        ) from error


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
