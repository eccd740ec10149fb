"""An imported model at run time: its folder, its card, and its answers on the images' own grid."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from coread.core import (
    Card,
    CodedConcept,
    Finding,
    Geometry,
    Image,
    Inputs,
    Mask,
    Model,
    Note,
    Probability,
    Result,
    Segment,
    Volume,
    card_from_table,
)
from coread.core.vocabulary import OTHER_FINDING, findings
from coread.errors import DataError, InputError, NotApplicableError
from coread.recognition.importing.conversion import load_script, torch_predictor
from coread.recognition.importing.draft import description
from coread.recognition.importing.fit import check_answer, check_input
from coread.recognition.importing.source import read_json
from coread.recognition.importing.specification import Specification
from coread.recognition.inference import (
    Cancel,
    Predict,
    Progress,
    Window,
    mean_over_flips,
    network_predictor,
    resample_linear,
    sliding_window,
)
from coread.recognition.runtime import Device, Network

SCHEMA, VERSION = "coread-imported-model", 1
LABEL_SCHEME = "99MODELLABEL"
_OTHER_WORDS = {
    "effusion": "pleural effusion",
    "mass": "lung mass",
    "nodule": "lung nodule",
    "edema": "pulmonary edema",
    "emphysema": "pulmonary emphysema",
    "fibrosis": "lung fibrosis",
    "infiltration": "lung opacity",
    "hernia": "hiatal hernia",
    "fracture": "fracture of bone",
}


@dataclass(frozen=True, slots=True, eq=False)
class ImportedModel:
    """A model from outside, ready to run; an analyzer.

    Attributes:
        name: Given at import.
        card: Filled by the person who imported it.
        digest: SHA-256 of the file that runs.
        specification: What the network takes and gives.
        predict: Of windows.
        notes: What was assumed at import.
        difference: Between ONNX and the original, relative; None where the original runs.
        thresholds: Of outputs, by name; an output without one has no opinion.
    """

    name: str
    card: Card
    digest: str
    specification: Specification
    predict: Predict
    notes: tuple[str, ...] = ()
    difference: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What an operating point can be chosen for: every output of a classifier."""
        return self.specification.outputs if self.specification.task == "classify" else ()

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Self:
        """Return the same at the site's thresholds.

        Raises:
            InputError: One is for something that the model has no output for.
        """
        unknown = sorted(set(thresholds) - set(self.outputs))
        if unknown:
            raise InputError(
                f"a threshold for {', '.join(unknown)}",
                f"one of {', '.join(self.outputs) or 'none: the model outlines'}",
                f"choose thresholds of {self.name} again",
            )
        return replace(self, thresholds={**self.thresholds, **thresholds})

    def probabilities(
        self,
        channels: Sequence[NDArray[Any]],
        geometry: Geometry,
        *,
        flips: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> NDArray[np.float32]:
        """Return (outputs, slices, rows, columns) of the network on the grid of the channels.

        Args:
            channels: One (slices, rows, columns) array for each channel, all on one grid.
            geometry: Of that grid.
            flips: Whether to average over the flips that the network allows.
            progress: Is told the part done.
            cancel: Asked between windows.

        Raises:
            InputError: Another number of channels.
        """
        said = self.specification
        if len(channels) != len(said.channels):
            raise InputError(
                f"{len(channels)} volumes",
                f"{len(said.channels)} channels: {', '.join(said.channels)}",
                "give them in this order, on one grid",
            )
        seen = said.volume(channels, geometry)
        predict = mean_over_flips(self.predict, said.flips) if flips else self.predict
        if len(said.window) == 2:
            slices = []
            for n in range(seen.shape[1]):
                slices.append(self._answer(seen[:, n], predict, None, cancel))
                if progress is not None:
                    progress((n + 1) / seen.shape[1])
            answer = np.stack(slices, axis=1)
        else:
            answer = self._answer(seen, predict, progress, cancel)
        back = said.grid(geometry).from_network(said.probabilities(answer))
        return back.transpose(0, *(int(axis) + 1 for axis in np.argsort(said.order)))

    def _answer(
        self, image: NDArray[np.float32], predict: Predict, progress: Progress | None, cancel: Cancel | None
    ) -> NDArray[np.float32]:
        said = self.specification
        if not said.fit:
            window = Window(size=said.window, overlap=said.overlap)
            return sliding_window(image, predict, window, progress=progress, cancel=cancel)
        space = image.shape[1:]
        whole = sliding_window(
            resample_linear(image, said.window),
            predict,
            Window(size=said.window),
            progress=progress,
            cancel=cancel,
        )
        return resample_linear(whole, space)

    def segment(
        self,
        volumes: Sequence[Volume],
        *,
        flips: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> tuple[Segment, ...]:
        """Return one region for each label, the background left out.

        Args:
            volumes: The channels, in order.
            flips: Whether to average over the flips that the network allows.
            progress: Is told the part done.
            cancel: Asked between windows.

        Raises:
            InputError: The volumes don't lie on one grid, or are too many or too few.
            NotApplicableError: The model doesn't segment.
        """
        said = self.specification
        if said.task != "segment":
            raise NotApplicableError(f"{self.name} classifies", "a model that segments")
        first = volumes[0] if volumes else None
        if first is None or not all(v.geometry.almost_equal(first.geometry) for v in volumes):
            grids = ", ".join(f"{v.geometry.shape} at {_millimetres(v.geometry.spacing_mm)}" for v in volumes)
            raise InputError(
                f"volumes on grids {grids or 'none'}",
                f"{len(said.channels)} on one grid: {', '.join(said.channels)}",
                "resample them onto one of them",
            )
        chances = self.probabilities(
            [v.values for v in volumes], first.geometry, flips=flips, progress=progress, cancel=cancel
        )
        regions = said.regions(chances)
        return tuple(
            Segment(
                CodedConcept(name, LABEL_SCHEME, name),
                Mask(np.ascontiguousarray(region), first.geometry),
                first.frame_of_reference,
                first.source_instances,
            )
            for name, region in regions.items()
        )

    def classify(self, image: Image) -> dict[str, float]:
        """Return what the network says about a film: a number from 0 to 1 for each output, not calibrated.

        Raises:
            NotApplicableError: The model doesn't classify.
        """
        said = self.specification
        if said.task != "classify":
            raise NotApplicableError(f"{self.name} segments", "a model that classifies")
        values = said.probabilities(self.predict(said.picture(image.values)[None])[0])
        return dict(zip(said.outputs, map(float, values), strict=True))

    def analyze(self, inputs: Inputs) -> Result:
        """Return regions of the volumes or findings on the images.

        A class without a threshold chosen with these weights has no opinion: its numbers are shown and
        said to have no operating point.

        Raises:
            NotApplicableError: There is nothing of the kind that the model takes.
        """
        said = self.specification
        notes = [
            Note("warning", "imported", f"{self.name} comes from outside; licence: {self.card.licence}"),
            *(Note("information", "assumed", text) for text in self.notes),
        ]
        if said.task == "segment":
            volumes = list(inputs.volumes.values())
            if len(said.channels) > 1 and len(volumes) != len(said.channels):
                raise NotApplicableError(
                    f"{len(volumes)} volumes", f"{len(said.channels)}: {', '.join(said.channels)}"
                )
            if not volumes:
                raise NotApplicableError("no volume", f"a volume: {said.channels[0]}")
            groups = [volumes] if len(said.channels) > 1 else [[volume] for volume in volumes]
            masks = tuple(segment for group in groups for segment in self.segment(group))
            return Result(masks=masks, notes=tuple(notes))
        if not inputs.images:
            raise NotApplicableError("no image", f"an image: {said.channels[0]}")
        found = tuple(
            self._finding(key, name, value)
            for key, image in inputs.images.items()
            for name, value in self.classify(image).items()
        )
        silent = [name for name in said.outputs if name not in self.thresholds]
        if silent:
            words = f"No operating point was chosen with these weights for {', '.join(silent)}."
            notes.append(Note("gate", "not-calibrated", words))
        return Result(findings=found, notes=tuple(notes))

    def _finding(self, key: str, name: str, value: float) -> Finding:
        words = name.replace("_", " ").lower()
        words = _OTHER_WORDS.get(words, words)
        concept = next((c for c in findings() if c.meaning.lower() == words), OTHER_FINDING)
        threshold = self.thresholds.get(name)
        present = threshold is not None and value >= threshold
        return Finding(
            id=f"{self.name}:{key}:{name}",
            concept=concept,
            status="no_opinion" if threshold is None else "present" if present else "absent",
            origin=Model(self.name, self.card.version, self.digest, self.card.mode),
            probability=Probability(
                min(max(value, 0.0), 1.0),
                None,
                0.5 if threshold is None else threshold,
                calibrated=threshold is not None and self.card.calibration is not None,
            ),
            comment=f"output {name!r} of the network",
        )


def _millimetres(spacing: Sequence[float]) -> str:
    return " x ".join(f"{s:g}" for s in spacing) + " mm"


def read_card(path: Path) -> tuple[Card, dict[str, Any], str]:
    """Return a card, its table ``[import]`` (empty where there is none), and its text.

    Raises:
        DataError: The file can't be read or is no TOML.
        InputError: The card is not complete.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name} can't be read ({error})", "a card as TOML") from error
    given = table.pop("import", {})
    try:
        return card_from_table(table), given, text
    except InputError as error:
        todo = error.todo or f"fill {path.name}; without --card one to fill is written"
        raise InputError(error.came, error.expected or "a card without gaps", todo) from error


def load_imported(folder: Path, *, threads: int = 1, device: Device = "cpu") -> ImportedModel:
    """Return a model from the folder that `coread.recognition.importing.import_model` wrote.

    Args:
        folder: With ``model.json``, ``card.toml`` and ``model.onnx`` or ``model.ts``.
        threads: Of ONNX Runtime.
        device: ``cuda`` runs the network on a GPU.

    Raises:
        InputError: ``cuda``, and there is no GPU that can be used.
        DataError: A file is missing or changed since the import.
        MissingExtraError: The model runs in torch, which is not installed.
    """
    document = read_json(folder / "model.json")
    if document.get("schema") != SCHEMA or document.get("version") != VERSION:
        raise DataError(f"{folder.name}/model.json of another schema", f"{SCHEMA} of version {VERSION}")
    file = str(document.get("file"))
    if file not in ("model.onnx", "model.ts"):
        raise DataError(f"a network in {file}", "model.onnx or model.ts", "import it again")
    try:
        content = (folder / file).read_bytes()
    except OSError as error:
        raise DataError(f"no {file} in {folder.name}", "the file of the import", "import it again") from error
    digest = hashlib.sha256(content).hexdigest()
    card, _, _ = read_card(folder / "card.toml")
    if not digest == document.get("sha256") == card.weights:
        raise DataError(
            f"{file} with SHA-256 {digest}", f"{card.weights}, as the card says", "import it again"
        )
    checked, specification = description(folder)
    network = Network(content, threads=threads, device=device) if file == "model.onnx" else None
    predict = network_predictor(network) if network else torch_predictor(load_script(folder / file, device))
    if specification != checked:  # the card was filled or corrected since the import
        if network is not None:
            check_input(network, specification)
        check_answer(predict, specification)
    if card.kind != specification.task:
        raise DataError(
            f"a card of kind {card.kind!r} for a network that is to {specification.task}",
            "the same in both",
            "correct kind, or task in the table [import] of the card",
        )
    return ImportedModel(
        str(document["name"]),
        card,
        digest,
        specification,
        predict,
        tuple(document.get("notes", ())),
        document.get("difference"),
        card_thresholds(card, specification),
    )


def card_thresholds(card: Card, specification: Specification) -> dict[str, float]:
    """Return the threshold of a card by the output that it is for.

    That is the only output, or the second of two that exclude each other; a card of several has none.
    """
    outputs = specification.outputs
    alone = len(outputs) == 1 or (len(outputs) == 2 and specification.activation != "sigmoid")
    if card.threshold is None or specification.task != "classify" or not alone:
        return {}
    return {outputs[-1]: card.threshold}


def model_document(
    name: str, file: str, digest: str, specification: Specification | None, **more: Any
) -> dict[str, Any]:
    """Return what ``model.json`` holds."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "name": name,
        "file": file,
        "sha256": digest,
        "specification": None
        if specification is None
        else json.loads(json.dumps(dataclasses.asdict(specification))),
        **more,
    }
