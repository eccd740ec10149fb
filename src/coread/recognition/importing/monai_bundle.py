"""MONAI bundles: `metadata.json` and `inference.json` read as known keys; nothing in them is evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coread.errors import DataError
from coread.recognition.importing.checkpoints import load_into, read_checkpoint, state_dict
from coread.recognition.importing.densenet import current_names, densenet121
from coread.recognition.importing.source import Source, read_json
from coread.recognition.importing.specification import (
    Activation,
    Intensity,
    Specification,
    specification_from_table,
)
from coread.recognition.importing.unets import monai_unet

# transforms that leave values and grid as they are for our purpose
_HARMLESS = {
    "LoadImaged",
    "EnsureChannelFirstd",
    "EnsureTyped",
    "ToTensord",
    "CastToTyped",
    "CropForegroundd",
    "SelectItemsd",
}
_FROM_HERE = "write task, intensities, window ... into the table [import] of the card"


def read_bundle(folder: Path, table: Mapping[str, Any]) -> Source:
    """Return the model of a bundle folder: its TorchScript, else its weights in a known network.

    Args:
        folder: With ``configs/metadata.json``, ``configs/inference.json`` and ``models/``.
        table: Of the card, which goes before what the bundle says.

    Raises:
        DataError: A file is missing, a needed value is an expression or unknown, or channels and labels
            contradict the network.
    """
    metadata = read_json(folder / "configs" / "metadata.json")
    inference = read_json(folder / "configs" / "inference.json")
    specification, notes = _specification(metadata, inference, table)
    files = [folder / "configs" / "metadata.json", folder / "configs" / "inference.json"]
    script, weights = folder / "models" / "model.ts", folder / "models" / "model.pt"
    if script.is_file():
        return Source("monai-bundle", specification, (*files, script), script=script, notes=notes)
    if not weights.is_file():
        raise DataError(f"no models/model.ts or models/model.pt in {folder.name}", "one of them")
    named = state_dict(read_checkpoint(weights), weights.name)
    network, named = _network(_plain(inference, "network_def"), named)
    loaded = load_into(network, named, weights.name)
    return Source("monai-bundle", specification, (*files, weights), loaded, notes=notes)


def _plain(config: Mapping[str, Any], key: str) -> Any:
    """A value of a configuration; a reference is followed, an expression is refused."""
    value = config.get(key)
    for _ in range(8):
        if not (isinstance(value, str) and value.startswith("@")):
            break
        value = _at(config, value[1:])
    return _refuse_expressions(value, key, config)


def _at(config: Mapping[str, Any], path: str) -> Any:
    value: Any = config
    for part in path.replace("#", "::").split("::"):
        if isinstance(value, Sequence) and not isinstance(value, str) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _refuse_expressions(value: Any, key: str, config: Mapping[str, Any], depth: int = 0) -> Any:
    if depth > 16:
        raise DataError(f"inference.json: {key} refers to itself", "plain values")
    if isinstance(value, str) and value.startswith("$"):
        raise DataError(
            f"inference.json: {key} is the expression {value!r}",
            "a plain value; expressions are never evaluated",
            f"put the value in its place, or {_FROM_HERE}",
        )
    if isinstance(value, str) and value.startswith("@"):
        return _refuse_expressions(_at(config, value[1:]), key, config, depth + 1)
    if isinstance(value, Mapping):
        return {k: _refuse_expressions(v, f"{key}.{k}", config, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_refuse_expressions(v, key, config, depth + 1) for v in value]
    return value


def _specification(
    metadata: Mapping[str, Any], inference: Mapping[str, Any], table: Mapping[str, Any]
) -> tuple[Specification, tuple[str, ...]]:
    try:
        form = metadata["network_data_format"]
        (image,), (answer,) = form["inputs"].values(), form["outputs"].values()
        channels, outputs = _names(image), _names(answer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"metadata.json lacks or garbles {error}",
            "network_data_format with one input and one output, each with channels and their meaning",
        ) from error
    values: dict[str, Any] = {
        "task": "segment",
        "channels": channels,
        "outputs": outputs,
        "activation": "softmax",
    }
    notes: list[str] = []
    if "intensities" not in table:
        values |= _preprocessing(inference, len(channels), notes)
    if "window" not in table:
        values |= _inferer(inference, image)
    if "activation" not in table:
        values["activation"] = _activation(inference)
    values |= table
    for required in ("task", "channels", "outputs", "activation", "window", "intensities"):
        if required not in values:
            raise DataError(f"the bundle does not say {required}", "it there, or in the card", _FROM_HERE)
    return specification_from_table(values), tuple(notes)


def _names(side: Mapping[str, Any]) -> tuple[str, ...]:
    count, names = int(side["num_channels"]), side["channel_def"]
    if sorted(names, key=int) != [str(n) for n in range(count)]:
        raise DataError(
            f"metadata.json: {count} channels, meanings for {', '.join(names)}",
            "one meaning a channel from 0",
        )
    return tuple(str(names[str(n)]) for n in range(count))


def _transforms(inference: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
    block = inference.get(key)
    rows = block.get("transforms") if isinstance(block, Mapping) else None
    if not isinstance(rows, list):
        return []
    return [
        (str(row.get("_target_", "")).rsplit(".", 1)[-1], row) for row in rows if isinstance(row, Mapping)
    ]


def _preprocessing(inference: Mapping[str, Any], channels: int, notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    intensity = Intensity()
    for name, row in _transforms(inference, "preprocessing"):
        clean = _refuse_expressions(row, f"preprocessing {name}", inference)
        match name:
            case "Orientationd":
                found["axes"] = str(clean["axcodes"])
            case "Spacingd":
                found["spacing_mm"] = tuple(float(s) for s in clean["pixdim"])
                notes.append("resampled linearly about the middle of the image's extent")
            case "ScaleIntensityRanged":
                low, high = float(clean["a_min"]), float(clean["a_max"])
                to_low, to_high = _number(clean, "b_min", 0.0), _number(clean, "b_max", 1.0)
                divide = (high - low) / (to_high - to_low)
                clip = bool(clean.get("clip", False))
                intensity = Intensity(
                    low=low if clip else None,
                    high=high if clip else None,
                    subtract=low - to_low * divide,
                    divide=divide,
                )
            case "ScaleIntensityd":
                intensity = Intensity(scale="min-max")
            case "NormalizeIntensityd":
                if clean.get("subtrahend") is not None or clean.get("divisor") is not None:
                    intensity = Intensity(
                        subtract=float(clean.get("subtrahend") or 0.0),
                        divide=float(clean.get("divisor") or 1.0),
                    )
                else:
                    intensity = Intensity(scale="z-score-nonzero" if clean.get("nonzero") else "z-score")
            case _ if name in _HARMLESS:
                pass
            case _:
                raise DataError(
                    f"inference.json: a transform {name} before the network", "known ones", _FROM_HERE
                )
    return found | {"intensities": (intensity,) * channels}


def _number(row: Mapping[str, Any], key: str, otherwise: float) -> float:
    return otherwise if row.get(key) is None else float(row[key])


def _inferer(inference: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    inferer = inference.get("inferer")
    if isinstance(inferer, Mapping) and str(inferer.get("_target_", "")).endswith("SlidingWindowInferer"):
        known = {k: inferer[k] for k in ("roi_size", "overlap") if k in inferer}
        clean = _refuse_expressions(known, "inferer", inference)
        return {
            "window": tuple(int(n) for n in clean["roi_size"]),
            "overlap": float(clean.get("overlap", 0.25)),
        }
    shape = image.get("spatial_shape")
    if isinstance(shape, list) and all(isinstance(n, int) for n in shape):
        return {"window": tuple(shape), "fit": True}
    return {}


def _activation(inference: Mapping[str, Any]) -> Activation:
    for name, row in _transforms(inference, "postprocessing"):
        if name == "Activationsd":
            if row.get("sigmoid") is True:
                return "sigmoid"
            if row.get("softmax") is True:
                return "softmax"
    return "softmax"


def _network(definition: Any, weights: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    if not isinstance(definition, Mapping):
        raise DataError("inference.json has no network_def", "the network that model.pt belongs to")
    name = str(definition.get("_target_", "")).rsplit(".", 1)[-1]
    try:
        if name.lower() == "densenet121":
            channels, outputs = int(definition["in_channels"]), int(definition["out_channels"])
            if int(definition.get("spatial_dims", 2)) == 2:
                return densenet121(channels, outputs), current_names(weights)
        elif name == "UNet" and str(definition.get("act", "PRELU")).upper() == "PRELU":
            norm = definition.get("norm", "INSTANCE")
            kind = (norm if isinstance(norm, str) else norm[0]).lower()
            usual = definition.get("kernel_size", 3) == definition.get("up_kernel_size", 3) == 3
            if kind in ("instance", "batch") and usual:
                network = monai_unet(
                    int(definition["spatial_dims"]),
                    int(definition["in_channels"]),
                    int(definition["out_channels"]),
                    [int(c) for c in definition["channels"]],
                    [int(s) for s in definition["strides"]],
                    int(definition.get("num_res_units", 0)),
                    kind,
                )
                return network, dict(weights)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"network_def lacks or garbles {error}", f"the arguments of {name}") from error
    raise DataError(
        f"a network {name or definition!r} in the bundle, of these arguments unknown here",
        "UNet with PReLU and kernels of 3, DenseNet121 in 2D, or any network as models/model.ts",
        "write model.ts with MONAI's `ckpt_export`, put it into models/, and import again",
    )
