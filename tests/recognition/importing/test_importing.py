"""Models of the field's formats come in, answer as before, and are refused where they contradict themselves.

The files are made here, in the layout of each format, with weights by chance. Needs the extra `train`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from coread.core import Acquisition, Geometry, Image, ImagePlane, Inputs, Volume
from coread.errors import DataError, InputError, NotApplicableError
from coread.recognition.importing import format_of, import_model, load_imported
from coread.recognition.importing.densenet import densenet121
from coread.recognition.importing.specification import Intensity, specification_from_table
from coread.recognition.importing.unets import PlainPlan, lungmask_unet, monai_unet, plain_unet
from coread.recognition.inference import Window, sliding_window

try:
    import torch
except ImportError:
    torch = None

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(torch is None, reason="needs torch: pip install 'coread[train]'"),
]

CARD = """
name = "A model from outside"
version = "1.0.0"
kind = "segment"
mode = "second-reader"
needs = { volumes = "any" }
intended_use = "Tests."
not_for = "Anything else."
evidence_level = 1
training_data = "none"
metrics = {}
licence = "CC-BY-NC-4.0"
"""


@pytest.fixture
def card(tmp_path: Path):
    def write(more: str = "", kind: str = "segment") -> Path:
        path = tmp_path / "card.toml"
        path.write_text(CARD.replace('kind = "segment"', f'kind = "{kind}"') + more, encoding="utf-8")
        return path

    return write


def seeded(network, seed: int = 0):
    """A network with weights and running statistics by chance."""
    torch.manual_seed(seed)
    for module in network.modules():
        if "BatchNorm" in type(module).__name__:
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
        else:
            torch.nn.init.normal_(parameter, 0.5, 0.2)
    return network.eval()


def answer(network, batch: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(torch.from_numpy(batch)).numpy()


def volume(shape=(12, 20, 24), spacing_mm=(1.5, 1.5, 1.5), seed: int = 0) -> Volume:
    values = np.random.default_rng(seed).normal(0, 300, shape).astype(np.float32)
    return Volume(values, Geometry.axial(shape, spacing_mm=spacing_mm), "HU", Acquisition("CT"))


# nnU-Net


def nnunet_network(outputs: int = 3, channels: int = 1):
    plan = PlainPlan(
        channels=channels,
        outputs=outputs,
        features=(4, 8),
        kernels=((1, 3, 3), (3, 3, 3)),
        strides=((1, 1, 1), (1, 2, 2)),
        convolutions=(2, 2),
        convolutions_up=(2,),
    )
    return seeded(plain_unet(plan))


def nnunet_folder(tmp_path: Path, *, old: bool = False, folds: int = 1, **changes) -> tuple[Path, list]:
    folder = tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    common = {
        "patch_size": [8, 16, 16],
        "spacing": [1.5, 1.5, 1.5],
        "normalization_schemes": ["CTNormalization"],
    }
    if old:
        shape = {
            "UNet_class_name": "PlainConvUNet",
            "UNet_base_num_features": 4,
            "unet_max_num_features": 320,
            "conv_kernel_sizes": [[1, 3, 3], [3, 3, 3]],
            "pool_op_kernel_sizes": [[1, 1, 1], [1, 2, 2]],
            "n_conv_per_stage_encoder": [2, 2],
            "n_conv_per_stage_decoder": [2],
        }
    else:
        shape = {
            "architecture": {
                "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                "arch_kwargs": {
                    "n_stages": 2,
                    "features_per_stage": [4, 8],
                    "conv_op": "torch.nn.modules.conv.Conv3d",
                    "kernel_sizes": [[1, 3, 3], [3, 3, 3]],
                    "strides": [[1, 1, 1], [1, 2, 2]],
                    "n_conv_per_stage": [2, 2],
                    "n_conv_per_stage_decoder": [2],
                    "conv_bias": True,
                    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                    "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                    "dropout_op": None,
                    "nonlin": "torch.nn.LeakyReLU",
                    "nonlin_kwargs": {"inplace": True},
                },
            }
        }
    plans = {
        "dataset_name": "Dataset001_Test",
        "transpose_forward": [0, 1, 2],
        "configurations": {"3d_fullres": {**common, **shape}},
        "foreground_intensity_properties_per_channel": {
            "0": {"percentile_00_5": -900.0, "percentile_99_5": 900.0, "mean": 20.0, "std": 150.0}
        },
    }
    dataset = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "spleen": 2},
        "file_ending": ".nii.gz",
    }
    plans.update({k: v for k, v in changes.items() if k in plans})
    dataset.update({k: v for k, v in changes.items() if k in dataset})
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    networks = []
    for fold in range(folds):
        network = seeded(nnunet_network(), fold)
        weights = OrderedDict(network.state_dict())
        for key in list(weights):  # nnU-Net's files hold these twice
            if ".conv." in key:
                weights[key.replace(".conv.", ".all_modules.0.")] = weights[key]
            if key.startswith("encoder."):
                weights[f"decoder.{key}"] = weights[key]
        content = {
            "network_weights": weights,
            "current_epoch": 1000,
            "_best_ema": np.float64(0.91),
            "logging": {"mean_fg_dice": [np.float32(0.5), np.float64(0.9)], "epochs": [np.int64(1)]},
            "init_args": {"plans": {}, "fold": fold},
            "inference_allowed_mirroring_axes": (0, 1, 2),
            "trainer_name": "nnUNetTrainer",
        }
        (folder / f"fold_{fold}").mkdir()
        torch.save(content, folder / f"fold_{fold}" / "checkpoint_final.pth")
        networks.append(network)
    return folder, networks


@pytest.mark.parametrize("old", [False, True])
def test_nnunet_folder_answers_as_its_networks_do(tmp_path: Path, card, old: bool) -> None:
    folder, networks = nnunet_folder(tmp_path, old=old, folds=2)
    assert format_of(folder) == "nnunet"
    model = import_model(folder, name="organs", card=card(), out=tmp_path / "models")
    assert model.difference is not None
    assert model.difference <= 1e-4
    assert model.specification.flips == (0, 1, 2)
    assert (tmp_path / "models" / "organs" / "model.onnx").is_file()
    scan = volume()
    seen = (np.clip(scan.values, -900, 900) - 20) / 150

    def mean(batch: np.ndarray) -> np.ndarray:
        return np.mean([answer(network, batch) for network in networks], axis=0)

    logits = sliding_window(seen[None].astype(np.float32), mean, Window(size=(8, 16, 16)))
    expected = np.exp(logits) / np.exp(logits).sum(0)
    np.testing.assert_allclose(model.probabilities([scan.values], scan.geometry), expected, atol=1e-4)
    segments = model.segment([scan])
    assert [s.concept.meaning for s in segments] == ["liver", "spleen"]
    np.testing.assert_array_equal(segments[1].mask.voxels, logits.argmax(0) == 2)
    result = model.analyze(Inputs(volumes={"a": scan}))
    assert len(result.masks) == 2
    assert any("CC-BY-NC" in note.text for note in result.notes)


def test_nnunet_network_is_that_of_its_own_library(tmp_path: Path) -> None:
    unet = pytest.importorskip(
        "dynamic_network_architectures.architectures.unet",
        reason="needs dynamic-network-architectures, which needs torch",
    )
    theirs = unet.PlainConvUNet(
        1, 2, (4, 8), torch.nn.Conv3d, ((1, 3, 3), (3, 3, 3)), ((1, 1, 1), (1, 2, 2)), 2, 3, 2,
        conv_bias=True, norm_op=torch.nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU, nonlin_kwargs={"inplace": True},
    )  # fmt: skip
    from coread.recognition.importing.checkpoints import load_into
    from coread.recognition.importing.unets import plain_names

    seeded(theirs, 3)
    ours = load_into(nnunet_network(), plain_names(theirs.state_dict()), "theirs")
    batch = np.random.default_rng(0).normal(size=(1, 1, 8, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(answer(ours, batch), answer(theirs, batch), atol=1e-5)


def test_totalsegmentator_is_turned_to_its_axes(tmp_path: Path, card) -> None:
    """Stored upside down and mirrored, the same patient gets the same labels."""
    folder, _ = nnunet_folder(tmp_path, dataset_name="Dataset297_TotalSegmentator_total_3mm")
    model = import_model(folder, name="total", card=card(), out=tmp_path / "models")
    assert model.specification.axes == "SAR"
    scan = volume()
    affine = scan.geometry.affine.copy()
    affine[:3, 3] += affine[:3, 0] * 11 + affine[:3, 2] * 23
    affine[:3, [0, 2]] *= -1
    other = Volume(scan.values[::-1, :, ::-1], Geometry(scan.geometry.shape, affine), "HU", Acquisition("CT"))
    first = model.segment([scan])
    assert any(segment.mask.voxels.any() for segment in first)
    for one, two in zip(first, model.segment([other]), strict=True):
        np.testing.assert_array_equal(one.mask.voxels, two.mask.voxels[::-1, :, ::-1])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"labels": {"background": 0, "liver": 1}}, "3 outputs.*2 labels"),
        ({"labels": {"background": 0, "liver": 1, "spleen": 3}}, "without a gap"),
        ({"channel_names": {"0": "CT", "1": "PET"}}, "2 channels in dataset.json, 1 normalisations"),
        ({"configurations": {"2d": {}}}, "TRAINER__PLANS__CONFIGURATION"),
        ({"foreground_intensity_properties_per_channel": {}}, "percentile_00_5"),
    ],
)
def test_nnunet_contradictions_are_named(tmp_path: Path, card, changes, says) -> None:
    folder, _ = nnunet_folder(tmp_path, **changes)
    with pytest.raises(DataError, match=says):
        import_model(folder, name="organs", card=card(), out=tmp_path / "models")
    assert not (tmp_path / "models" / "organs").exists()


def test_nnunet_spacing_of_too_few_axes_is_refused(tmp_path: Path, card) -> None:
    folder, _ = nnunet_folder(tmp_path)
    plans = json.loads((folder / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["spacing"] = [1.5, 1.5]
    (folder / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(DataError, match="spacing of 2 numbers for a patch of 3"):
        import_model(folder, name="organs", card=card(), out=tmp_path / "models")


# MONAI


def bundle(
    tmp_path: Path, network, definition: dict | None, transforms: list | None = None, script=False
) -> Path:
    folder = tmp_path / "spleen_ct"
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    form = {
        "inputs": {
            "image": {"num_channels": 1, "channel_def": {"0": "image"}, "spatial_shape": [16, 16, 16]}
        },
        "outputs": {"pred": {"num_channels": 2, "channel_def": {"0": "background", "1": "spleen"}}},
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps({"network_data_format": form}))
    inference = {
        "imports": ["$import glob"],
        "device": "$torch.device('cuda:0')",
        "pixdim": [1.5, 1.5, 2.0],
        "network_def": definition,
        "preprocessing": {
            "_target_": "Compose",
            "transforms": transforms
            or [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
                {"_target_": "Spacingd", "keys": "image", "pixdim": "@pixdim", "mode": "bilinear"},
                {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -57, "a_max": 164,
                 "b_min": 0.0, "b_max": 1.0, "clip": True},
            ],
        },
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "overlap": 0.5},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "Activationsd", "keys": "pred", "softmax": True}],
        },
    }  # fmt: skip
    (folder / "configs" / "inference.json").write_text(json.dumps(inference))
    if script:
        traced = torch.jit.trace(network, torch.zeros(1, 1, 16, 16, 16))
        torch.jit.save(traced, str(folder / "models" / "model.ts"))
    else:
        torch.save({"model": network.state_dict()}, folder / "models" / "model.pt")
    return folder


UNET = {
    "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8, 16],
    "strides": [2, 2], "num_res_units": 2, "norm": "batch",
}  # fmt: skip


@pytest.mark.parametrize("script", [False, True])
def test_monai_bundle_answers_as_its_network_does(tmp_path: Path, card, script: bool) -> None:
    network = seeded(monai_unet(3, 1, 2, (4, 8, 16), (2, 2), 2, "batch"))
    folder = bundle(tmp_path, network, UNET, script=script)
    model = import_model(folder, name="spleen", card=card(), out=tmp_path / "models")
    assert model.difference is not None
    said = model.specification
    assert (said.axes, said.spacing_mm, said.window) == ("RAS", (1.5, 1.5, 2.0), (16, 16, 16))
    batch = np.random.default_rng(1).normal(size=(2, 1, 16, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(model.predict(batch), answer(network, batch), atol=1e-4)
    np.testing.assert_allclose(
        said.intensities[0].of(np.array([-100.0, -57, 53.5, 164, 300])), [0, 0, 0.5, 1, 1], atol=1e-6
    )
    assert model.segment([volume(spacing_mm=(2.0, 1.0, 1.0))])[0].mask.voxels.shape == (12, 20, 24)


@pytest.mark.parametrize(
    ("dimensions", "units", "norm"), [(3, 2, "instance"), (2, 0, "batch"), (2, 1, "batch")]
)
def test_monai_unet_is_that_of_monai(dimensions: int, units: int, norm: str) -> None:
    nets = pytest.importorskip("monai.networks.nets", reason="needs MONAI, which needs torch")
    theirs = seeded(nets.UNet(dimensions, 1, 2, (4, 8, 16), (2, 2), num_res_units=units, norm=norm), 1)
    ours = monai_unet(dimensions, 1, 2, (4, 8, 16), (2, 2), units, norm)
    ours.load_state_dict(theirs.state_dict())
    batch = np.random.default_rng(0).normal(size=(1, 1, *[16] * dimensions)).astype(np.float32)
    np.testing.assert_allclose(answer(ours.eval(), batch), answer(theirs, batch), atol=1e-5)


def test_densenet_is_that_of_monai() -> None:
    nets = pytest.importorskip("monai.networks.nets", reason="needs MONAI, which needs torch")
    from coread.recognition.importing.checkpoints import load_into
    from coread.recognition.importing.densenet import current_names

    theirs = seeded(nets.DenseNet121(2, 3, 14), 2)
    ours = load_into(densenet121(3, 14), current_names(theirs.state_dict()), "theirs")
    batch = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    np.testing.assert_allclose(answer(ours, batch), answer(theirs, batch), rtol=1e-4, atol=1e-4)


def test_expressions_in_a_bundle_are_never_evaluated(tmp_path: Path, card) -> None:
    network = monai_unet(3, 1, 2, (4, 8, 16), (2, 2), 2, "batch")
    mark = tmp_path / "evaluated"
    trap = f"$open({str(mark)!r}, 'w').close()"
    rows = [{"_target_": "Spacingd", "keys": "image", "pixdim": trap}]
    folder = bundle(tmp_path, network, UNET, rows)
    with pytest.raises(DataError, match="never evaluated"):
        import_model(folder, name="spleen", card=card(), out=tmp_path / "models")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("definition", "rows", "says"),
    [
        ({"_target_": "SwinUNETR"}, None, "SwinUNETR"),
        ({**UNET, "channels": [4, 8, 32]}, None, "of another shape"),
        ({**UNET, "num_res_units": 0}, None, "left over"),
        (UNET, [{"_target_": "Lambdad", "func": "f"}], "a transform Lambdad"),
    ],
)
def test_bundles_that_are_not_understood_are_refused(tmp_path: Path, card, definition, rows, says) -> None:
    folder = bundle(tmp_path, seeded(monai_unet(3, 1, 2, (4, 8, 16), (2, 2), 2, "batch")), definition, rows)
    with pytest.raises(DataError, match=says):
        import_model(folder, name="spleen", card=card(), out=tmp_path / "models")


# chest films and lungmask


def old_names(weights: dict) -> dict:
    """As checkpoints of the time before dots in names were given up, trained in parallel."""
    import re

    return {
        "module.densenet121." + re.sub(r"(denselayer\d+\.)(norm|conv)([12])\.", r"\1\2.\3.", key).replace(
            "classifier.", "classifier.0."
        ): value
        for key, value in weights.items()
    }  # fmt: skip


@pytest.mark.slow
def test_chexnet_checkpoint_answers_as_its_network_does(tmp_path: Path, card) -> None:
    network = seeded(densenet121(3, 14))
    path = tmp_path / "m-25012018.pth.tar"
    torch.save({"epoch": 7, "state_dict": old_names(network.state_dict()), "best_loss": 0.2}, path)
    model = import_model(path, name="chexnet", card=card(kind="classify"), out=tmp_path / "models")
    film = np.random.default_rng(0).integers(0, 255, (300, 260)).astype(np.uint8)
    image = Image(film, ImagePlane(film.shape), "stored", Acquisition("DX"))
    got = model.classify(image)
    assert next(iter(got)) == "Atelectasis"
    assert len(got) == 14
    batch = np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype(np.float32)
    np.testing.assert_allclose(model.predict(batch), answer(network, batch), rtol=1e-4, atol=1e-4)
    result = model.analyze(Inputs(images={"film": image}))
    assert {f.status for f in result.findings} == {"no_opinion"}
    assert not any(f.probability.calibrated for f in result.findings)
    assert "233604007" in {f.concept.value for f in result.findings}  # pneumonia
    with pytest.raises(NotApplicableError):
        model.analyze(Inputs())


@pytest.mark.slow
def test_torchxrayvision_state_dict_comes_in_and_its_pickle_does_not(tmp_path: Path, card) -> None:
    network = seeded(densenet121(1, 18))
    path = tmp_path / "xrv.pt"
    torch.save({**network.state_dict(), "op_threshs": torch.full((18,), 0.5)}, path)
    model = import_model(path, name="xrv", card=card(kind="classify"), out=tmp_path / "models")
    assert model.specification.outputs[-1] == "Enlarged cardiomediastinum"
    film = np.array([[0.0, 255.0]])
    np.testing.assert_allclose(model.specification.intensities[0].of(film), [[-1024, 1024]])
    assert any("op_threshs" in note for note in model.notes)
    whole = tmp_path / "nih-pc-chex.pt"
    torch.save(torch.nn.Linear(2, 2), whole)
    with pytest.raises(DataError, match=r"would run code.*state_dict\(\)"):
        import_model(whole, name="whole", card=card(), out=tmp_path / "models")


def test_a_densenet_of_unknown_outputs_asks_for_their_names(tmp_path: Path, card) -> None:
    path = tmp_path / "five.pt"
    torch.save(densenet121(3, 5).state_dict(), path)
    with pytest.raises(DataError, match="name the outputs"):
        import_model(path, name="five", card=card(kind="classify"), out=tmp_path / "models")
    names = '\n[import]\noutputs = ["a", "b", "c", "d"]\n'
    with pytest.raises(DataError, match=r"5 outputs.*4 labels"):
        import_model(path, name="five", card=card(names), out=tmp_path / "models")


@pytest.mark.slow
def test_lungmask_state_dict_answers_as_its_network_does(tmp_path: Path, card) -> None:
    network = seeded(lungmask_unet(3))
    weights = network.state_dict()
    weights["down_path.0.residual_input_conv.weight"] = torch.zeros(64, 1, 1, 1)  # there and not used
    path = tmp_path / "unet_r231.pth"
    torch.save(weights, path)
    model = import_model(path, name="lungs", card=card(), out=tmp_path / "models")
    assert model.difference is not None
    assert model.specification.intensities[0].of(np.array([-1024.0, 600])).tolist() == [0, 1]
    segments = model.segment([volume((1, 64, 64))])
    assert [s.concept.meaning for s in segments] == ["Right lung", "Left lung"]


# ONNX and TorchScript

IMPORT = """
[import]
task = "segment"
channels = ["T1"]
intensities = [{ scale = "z-score" }]
outputs = ["brain"]
activation = "sigmoid"
window = [8, 8, 8]
axes = "RAS"
"""


def convolution():
    torch.manual_seed(0)
    return torch.nn.Conv3d(1, 1, 3, padding=1).eval()


def onnx_file(tmp_path: Path) -> Path:
    from coread.recognition.importing.conversion import onnx_of

    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_of(convolution(), (1, 8, 8, 8), script=False))
    return path


def test_onnx_and_torchscript_give_the_same_regions(tmp_path: Path, card) -> None:
    script = tmp_path / "net.pt"
    torch.jit.save(torch.jit.script(convolution()), str(script))
    assert format_of(script) == "torchscript"
    found = [
        import_model(path, name=path.suffix[1:], card=card(IMPORT), out=tmp_path / "models").segment(
            [volume()]
        )
        for path in (onnx_file(tmp_path), script)
    ]
    assert found[0][0].mask.voxels.any()
    assert np.mean(found[0][0].mask.voxels != found[1][0].mask.voxels) < 1e-3


def test_a_script_that_onnx_cannot_say_runs_in_torch(tmp_path: Path, card) -> None:
    class Odd(torch.nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x)

    path = tmp_path / "odd.pt"
    torch.jit.save(torch.jit.trace(Odd(), torch.zeros(1, 1, 8, 8, 8)), str(path))
    model = import_model(path, name="odd", card=card(IMPORT), out=tmp_path / "models")
    assert (tmp_path / "models" / "odd" / "model.ts").is_file()
    assert any("not converted" in note for note in model.notes)
    batch = np.ones((1, 1, 8, 8, 8), np.float32)
    np.testing.assert_allclose(model.predict(batch), 0.7651977, rtol=1e-6)  # J0(1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ('channels = ["T1"]', 'channels = ["T1", "T2"]'),
            "2 channels and 1 intensities|one for each channel",
        ),
        (('outputs = ["brain"]', 'outputs = ["brain", "skull"]'), "1 outputs.*2 labels"),
        (("window = [8, 8, 8]", "window = [8, 8]"), "whose input is"),
        (('axes = "RAS"', "spacing_mm = [1.0, 1.0]"), "three positive millimetres"),
        (('axes = "RAS"', "colour = 1"), "colour"),
        (('task = "segment"\n', ""), "incomplete description"),
    ],
)
def test_an_onnx_file_that_the_card_contradicts_is_refused(tmp_path: Path, card, change, says) -> None:
    with pytest.raises(DataError, match=says):
        import_model(
            onnx_file(tmp_path), name="x", card=card(IMPORT.replace(*change)), out=tmp_path / "models"
        )


def test_thresholds_need_the_weights_they_were_chosen_with(tmp_path: Path, card) -> None:
    path = onnx_file(tmp_path)
    made = card(IMPORT)
    made.write_text("threshold = 0.3\n" + made.read_text())
    with pytest.raises(DataError, match="chosen with exactly these weights"):
        import_model(path, name="x", card=made, out=tmp_path / "models")
    other = card(IMPORT)
    other.write_text('weights = "00"\n' + other.read_text())
    with pytest.raises(DataError, match="a card for weights 00"):
        import_model(path, name="x", card=other, out=tmp_path / "models")


def test_a_converted_network_that_says_something_else_is_refused() -> None:
    from coread.recognition.importing.conversion import check_same, onnx_of

    network = convolution()
    content = onnx_of(network, (1, 8, 8, 8), script=False)
    assert check_same(content, network, (1, 8, 8, 8)) < 1e-5
    with torch.no_grad():
        network.bias += 5e-4
    with pytest.raises(DataError, match="differs from the original"):
        check_same(content, network, (1, 8, 8, 8))


def test_what_changed_since_the_import_is_refused(tmp_path: Path, card) -> None:
    path, out = onnx_file(tmp_path), tmp_path / "models"
    first = import_model(path, name="x", card=card(IMPORT), out=out)
    assert load_imported(out / "x").card.weights == first.digest
    with pytest.raises(InputError, match="there already"):
        import_model(path, name="x", card=card(IMPORT), out=out)
    import_model(path, name="x", card=card(IMPORT), out=out, force=True)
    (out / "x" / "model.onnx").write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match="as the card says"):
        load_imported(out / "x")


def test_volumes_that_do_not_fit_are_refused(tmp_path: Path, card) -> None:
    model = import_model(onnx_file(tmp_path), name="x", card=card(IMPORT), out=tmp_path / "models")
    with pytest.raises(InputError, match="1 channels: T1"):
        model.segment([volume(), volume()])
    with pytest.raises(InputError, match="on one grid"):
        model.segment([volume(), volume(spacing_mm=(3.0, 1.0, 1.0))])
    with pytest.raises(NotApplicableError):
        model.classify(Image(np.zeros((8, 8)), ImagePlane((8, 8)), "stored", Acquisition("DX")))


def test_files_of_no_known_kind_are_refused(tmp_path: Path, card) -> None:
    text = tmp_path / "x.pt"
    text.write_bytes(b"hello")
    with pytest.raises(DataError):
        import_model(text, name="x", card=card(), out=tmp_path / "models")
    with pytest.raises(InputError, match="nothing at"):
        format_of(tmp_path / "absent")
    with pytest.raises(DataError, match="unknown layout"):
        format_of(tmp_path)
    with pytest.raises(InputError, match="the name"):
        import_model(text, name="../x", card=card(), out=tmp_path / "models")


def test_intensities_are_as_described() -> None:
    values = np.array([0.0, 0, 2, 4])
    np.testing.assert_allclose(Intensity(scale="z-score-nonzero").of(values), [0, 0, -1, 1])
    np.testing.assert_allclose(Intensity(scale="z-score").of(np.array([1.0, 3])), [-1, 1])
    with pytest.raises(DataError, match="named once"):
        specification_from_table(
            {"task": "segment", "channels": ["a"], "intensities": [{}], "outputs": ["x", "x"],
             "activation": "none", "window": [8, 8]}
        )  # fmt: skip


@pytest.mark.slow
def test_real_weights_of_deepbet_answer_as_the_original_does(tmp_path: Path, card) -> None:
    """Both TorchScript files of deepbet 1.0.2, on a head where nilearn brings one."""
    import importlib.util

    spec = importlib.util.find_spec("deepbet")
    if spec is None or spec.origin is None:
        pytest.skip("needs deepbet 1.0.2, which needs torch")
    site = Path(spec.origin).parent.parent
    path = site / "data" / "models" / "bbox_model.pt"
    said = """
[import]
task = "segment"
channels = ["T1"]
intensities = [{ scale = "z-score", subtract = -1.9867, divide = 4.4248 }]
outputs = ["background", "brain"]
activation = "none"
window = [64, 64, 64]
axes = "RAS"
fit = true
"""
    model = import_model(path, name="brain", card=card(said), out=tmp_path / "models")
    assert model.difference is not None
    head = site / "nilearn" / "datasets" / "data" / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    if not head.is_file():
        pytest.skip("needs nilearn 0.14.1, for a head; the network itself needs torch")
    nibabel = pytest.importorskip("nibabel")
    values = np.asarray(nibabel.load(head).dataobj, dtype=np.float32)[::3, ::3, ::3]
    batch = np.zeros((1, 1, 64, 64, 64), np.float32)
    seen = model.specification.intensities[0].of(values[:64, :64, :63])
    batch[0, 0, :, :, :63] = seen
    original = torch.jit.load(str(path)).double()(torch.from_numpy(batch).double()).detach().numpy()
    got = model.predict(batch)
    np.testing.assert_allclose(got, original, atol=1e-4)
    assert np.mean(got.argmax(1) != original.argmax(1)) < 1e-5
    assert 0.05 < (got[0, 1] > 0.5).mean() < 0.9
