"""Results folders of nnU-Net v2, and those of TotalSegmentator, which are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coread.errors import DataError
from coread.recognition.importing.checkpoints import load_into, read_checkpoint, state_dict
from coread.recognition.importing.source import Source, read_json
from coread.recognition.importing.specification import Activation, Intensity, Specification
from coread.recognition.importing.unets import PlainPlan, mean_of, plain_names, plain_unet

CHECKPOINT = "checkpoint_final.pth"
_NETWORK = "dynamic_network_architectures.architectures.unet.PlainConvUNet"


def read_nnunet(folder: Path) -> Source:
    """Return the network of a results folder, the mean of its folds.

    Args:
        folder: ``TRAINER__PLANS__CONFIGURATION`` with ``plans.json``, ``dataset.json`` and
            ``fold_X/checkpoint_final.pth``.

    Raises:
        DataError: A file is missing, the architecture is not the plain U-Net, or plans, labels,
            channels and weights contradict each other.
    """
    plans, dataset = read_json(folder / "plans.json"), read_json(folder / "dataset.json")
    checkpoints = sorted(folder.glob(f"fold_*/{CHECKPOINT}"))
    if not checkpoints:
        raise DataError(f"no fold_X/{CHECKPOINT} in {folder.name}", "one or more trained folds")
    try:
        configuration = _configuration(plans, folder.name)
        channels, labels, activation = _channels(dataset), *_labels(dataset)
        plan = _plan(configuration, len(channels), len(labels))
        specification = _specification(plans, configuration, channels, labels, activation, dataset)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"plans.json or dataset.json lacks or garbles {error}",
            "the files of an nnU-Net v2 results folder",
        ) from error
    networks, mirrors = [], []
    for path in checkpoints:
        content = read_checkpoint(path, numpy_scalars=True)
        weights = plain_names(state_dict(content, path.name))
        _check_shapes(weights, specification, path)
        networks.append(load_into(plain_unet(plan), weights, f"{path.parent.name}/{path.name}"))
        mirrors.append(tuple(content.get("inference_allowed_mirroring_axes") or ()))
    flips = mirrors[0] if len(set(mirrors)) == 1 else ()
    return Source(
        "nnunet",
        specification.with_table({"flips": flips}),
        (folder / "plans.json", folder / "dataset.json", *checkpoints),
        networks[0] if len(networks) == 1 else mean_of(networks),
        notes=(
            f"mean of {len(networks)} folds",
            "no crop to non-zero values before scaling",
        ),
    )


def _configuration(plans: Mapping[str, Any], folder: str) -> dict[str, Any]:
    name = folder.rsplit("__", 1)[-1]
    found = plans["configurations"]
    if name not in found:
        raise DataError(
            f"a folder named {folder} and plans for {', '.join(sorted(found))}",
            "TRAINER__PLANS__CONFIGURATION, as nnU-Net names it",
            "keep the folder's own name",
        )
    chain: list[Mapping[str, Any]] = [found[name]]
    while "inherits_from" in chain[0]:
        chain.insert(0, found[chain[0]["inherits_from"]])
        if len(chain) > len(found):
            raise DataError("plans.json: configurations that inherit from each other", "an order of them")
    merged = {key: value for each in chain for key, value in each.items()}
    if merged.get("previous_stage"):
        raise DataError(
            f"configuration {name} needs the answer of {merged['previous_stage']}",
            "a configuration that stands alone",
            "import 3d_fullres, 3d_lowres or 2d",
        )
    return merged


def _channels(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    names = dataset.get("channel_names") or dataset["modality"]
    return tuple(str(names[key]) for key in sorted(names, key=int))


def _labels(dataset: Mapping[str, Any]) -> tuple[tuple[str, ...], Activation]:
    labels = {str(name): value for name, value in dataset["labels"].items() if name != "ignore"}
    if labels.get("background") != 0:
        raise DataError(f"labels {labels}", "background = 0", "an nnU-Net v2 dataset.json has it")
    if any(isinstance(value, list) for value in labels.values()):
        return tuple(name for name in labels if name != "background"), "sigmoid"
    order = sorted(labels, key=lambda name: int(labels[name]))
    if [int(labels[name]) for name in order] != list(range(len(order))):
        raise DataError(f"labels {labels}", "whole numbers from 0 without a gap", "correct dataset.json")
    return tuple(order), "softmax"


def _plan(configuration: Mapping[str, Any], channels: int, outputs: int) -> PlainPlan:
    architecture = configuration.get("architecture")
    if architecture is None:
        name = configuration["UNet_class_name"]
        kernels, strides = configuration["conv_kernel_sizes"], configuration["pool_op_kernel_sizes"]
        base, most = configuration["UNet_base_num_features"], configuration["unet_max_num_features"]
        features = [min(base * 2**n, most) for n in range(len(kernels))]
        down, up = (configuration[f"n_conv_per_stage_{way}"] for way in ("encoder", "decoder"))
        bias, epsilon = True, 1e-5
    else:
        name = architecture["network_class_name"]
        values = architecture["arch_kwargs"]
        kernels, strides = values["kernel_sizes"], values["strides"]
        features, down = values["features_per_stage"], values["n_conv_per_stage"]
        up, bias = values["n_conv_per_stage_decoder"], bool(values["conv_bias"])
        epsilon = float((values.get("norm_op_kwargs") or {}).get("eps", 1e-5))
        usual = values.get("nonlin", "torch.nn.LeakyReLU") == "torch.nn.LeakyReLU"
        normal = "InstanceNorm" in str(values.get("norm_op", "InstanceNorm"))
        if not (usual and normal) or values.get("dropout_op"):
            raise DataError(
                "a U-Net with another normalisation, activation or dropout than nnU-Net's own",
                "instance norm and leaky ReLU",
                "export it to ONNX where it was trained and import that",
            )
    if name not in (_NETWORK, "PlainConvUNet"):
        raise DataError(
            f"a network {name}", "the plain U-Net (PlainConvUNet)", "export it to ONNX and import that"
        )
    return PlainPlan(
        channels=channels,
        outputs=outputs,
        features=tuple(map(int, features)),
        kernels=_sizes(kernels),
        strides=_sizes(strides),
        convolutions=tuple(map(int, down)),
        convolutions_up=tuple(map(int, up)),
        bias=bias,
        epsilon=epsilon,
    )


def _sizes(rows: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, row)) for row in rows)


def _specification(
    plans: Mapping[str, Any],
    configuration: Mapping[str, Any],
    channels: tuple[str, ...],
    labels: tuple[str, ...],
    activation: Activation,
    dataset: Mapping[str, Any],
) -> Specification:
    window, spacing = tuple(configuration["patch_size"]), tuple(configuration["spacing"])
    if len(spacing) != len(window):
        raise DataError(
            f"a spacing of {len(spacing)} numbers for a patch of {len(window)}", "one for each axis"
        )
    schemes = configuration["normalization_schemes"]
    if len(schemes) != len(channels):
        raise DataError(
            f"{len(channels)} channels in dataset.json, {len(schemes)} normalisations in plans.json",
            "one for each channel",
        )
    masked = configuration.get("use_mask_for_norm") or [False] * len(channels)
    statistics = plans.get("foreground_intensity_properties_per_channel") or {}
    intensities = tuple(
        _intensity(scheme, statistics.get(str(n), {}), bool(masked[n])) for n, scheme in enumerate(schemes)
    )
    total = "totalsegmentator" in f"{plans.get('dataset_name', '')} {dataset.get('name', '')}".lower()
    keeps_slices = len(window) == 2
    transpose = (0, 1, 2) if total else tuple(map(int, plans.get("transpose_forward", (0, 1, 2))))
    return Specification(
        task="segment",
        channels=channels,
        intensities=intensities,
        outputs=labels,
        activation=activation,
        window=tuple(map(int, window)),
        spacing_mm=None if keeps_slices else tuple(map(float, spacing)),
        axes="SAR" if total else None,  # TotalSegmentator turns every image to RAS first
        transpose=(transpose[0], transpose[1], transpose[2]),
        cubic=(configuration.get("resampling_fn_data_kwargs") or {}).get("order", 3) == 3,
    )


def _intensity(scheme: str, statistics: Mapping[str, float], masked: bool) -> Intensity:
    match scheme:
        case "CTNormalization":
            return Intensity(
                low=float(statistics["percentile_00_5"]),
                high=float(statistics["percentile_99_5"]),
                subtract=float(statistics["mean"]),
                divide=max(float(statistics["std"]), 1e-8),
            )
        case "ZScoreNormalization":
            return Intensity(scale="z-score-nonzero" if masked else "z-score")
        case "NoNormalization":
            return Intensity()
        case "RescaleTo01Normalization":
            return Intensity(scale="min-max")
        case "RGBTo01Normalization":
            return Intensity(divide=255.0)
    raise DataError(f"a normalisation {scheme}", "one of nnU-Net's own", "export to ONNX and import that")


def _check_shapes(weights: Mapping[str, Any], specification: Specification, path: Path) -> None:
    try:
        first = weights["encoder.stages.0.0.convs.0.conv.weight"]
        heads = [key for key in weights if key.startswith("decoder.seg_layers.") and key.endswith(".weight")]
        last = weights[max(heads, key=lambda key: int(key.split(".")[2]))]
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path.name} has no plain U-Net in it", "network_weights of PlainConvUNet"
        ) from error
    specification.check_network(int(first.shape[1]), int(last.shape[0]))
