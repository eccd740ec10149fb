"""Training of `coread.recognition.adrenal_shape`: gradient-boosted trees and a logistic regression."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.errors import DataError
from coread.extras import require
from coread.recognition.adrenal_shape import distance, read_features
from coread.recognition.labelled import Part
from coread.recognition.metrics import auc, bootstrap, brier, expected_calibration_error
from coread.recognition.runtime import MAXIMUM_BYTES, SETTINGS_KEY
from coread.recognition.training.checkpoint import Checkpoint
from coread.recognition.training.pneumonia import fold_numbers

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]
Floats = NDArray[np.float64]
Fitted = Mapping[str, NDArray[Any]]
"""A member, or measures, as arrays: what a checkpoint holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the members are trained.

    Attributes:
        members: Pairs of a tree ensemble and a regression; each is trained without one fold.
        repeats: Of the cross-validation from which the figures come.
        trees: Of each ensemble.
        depth: Of each tree.
        rate: Shrinkage of each tree.
        sample: Part of the cases that each tree sees.
        tried: Features that each split may choose from.
        leaf: Fewest cases in a leaf.
        inverse_penalty: Of the regression (scikit-learn's C).
        accepted: Part of the validation shapes that the gate lets through.
        unsure: Part of the validation shapes, nearest to the threshold, that get no opinion.
        seed: Of everything.
    """

    members: int = 5
    repeats: int = 4
    trees: int = 250
    depth: int = 4
    rate: float = 0.02
    sample: float = 0.5
    tried: int = 5
    leaf: int = 15
    inverse_penalty: float = 0.03
    accepted: float = 0.97
    unsure: float = 0.1
    seed: int = 20261125


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One pair; what it says is the mean of both logits."""

    trees: Any
    regression: Any

    def logits(self, features: Floats) -> Floats:
        """Return (n,) logits."""
        narrow = features.astype(np.float32)
        both = self.trees.decision_function(narrow) + self.regression.decision_function(features)
        return np.asarray(both / 2)

    def fitted(self) -> Fitted:
        """Return what was learnt as arrays: nodes of all trees in a row, what leaves and features add."""
        trees = [estimator.tree_ for estimator in self.trees.estimators_[:, 0]]
        prior = self.trees.init_.class_prior_
        rate = self.trees.learning_rate
        return {
            "tree": np.concatenate([np.full(tree.node_count, n) for n, tree in enumerate(trees)]),
            "node": np.concatenate([np.arange(tree.node_count) for tree in trees]),
            "left": np.concatenate([tree.children_left for tree in trees]),
            "right": np.concatenate([tree.children_right for tree in trees]),
            "feature": np.concatenate([tree.feature for tree in trees]),
            "threshold": np.concatenate([tree.threshold for tree in trees]),
            "weight": np.concatenate([rate * tree.value[:, 0, 0] / 2 for tree in trees]),
            "coefficients": self.regression.coef_[0] / 2,
            "bias": (self.regression.intercept_ + np.log(prior[1] / prior[0])) / 2,
        }


def trained_member(features: Floats, labels: NDArray[np.int64], plan: Plan, seed: int) -> Member:
    """Return a pair trained on standardised features (n, features) and labels 0 or 1."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    trees = GradientBoostingClassifier(
        n_estimators=plan.trees,
        learning_rate=plan.rate,
        max_depth=plan.depth,
        subsample=plan.sample,
        max_features=plan.tried,
        min_samples_leaf=plan.leaf,
        random_state=seed,
    )
    regression = LogisticRegression(C=plan.inverse_penalty, max_iter=5000)
    return Member(
        trees.fit(features.astype(np.float32), labels),
        regression.fit(features, labels),
    )


def trained_members(
    features: Floats,
    labels: NDArray[np.int64],
    plan: Plan,
    seed: int,
    *,
    others: Floats | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[list[Fitted], Floats, Floats]:
    """Return a member for each fold, trained without it, each case's logit by that member, and of others.

    Args:
        features: (n, features), standardised.
        labels: (n,) 0 or 1.
        plan: How to train.
        seed: Of folds and members.
        others: (m, features) of cases that no member learns from.
        checkpoint: Beside which each member is kept, and taken from.

    Returns:
        The members, (n,) logits, and (members, m) logits of the others.
    """
    fold = fold_numbers(labels, plan.members, seed)
    apart = features[:0] if others is None else others
    members, out, of_others = [], np.zeros(len(labels)), np.zeros((plan.members, len(apart)))
    for number in range(plan.members):
        left = fold == number

        def fit(left: NDArray[np.bool_] = left, number: int = number) -> Fitted:
            member = trained_member(features[~left], labels[~left], plan, seed + number)
            return {
                **member.fitted(),
                "judged": member.logits(features[left]),
                "others": member.logits(apart) if len(apart) else np.zeros(0),
            }

        member = _kept(checkpoint and checkpoint.named(f"seed_{seed}_member_{number + 1}"), fit)
        out[left], of_others[number] = member["judged"], member["others"]
        members.append(member)
    return members, out, of_others


def _kept(checkpoint: Checkpoint | None, make: Callable[[], Fitted]) -> Fitted:
    """Return arrays that a checkpoint holds, else make them and keep them."""
    state = checkpoint.read() if checkpoint else None
    if state is not None:
        return {name: values.numpy() for name, values in state["arrays"].items()}
    arrays = make()
    if checkpoint is not None:
        torch = require("torch", extra="train")
        kept = {name: torch.from_numpy(np.array(values)) for name, values in arrays.items()}
        checkpoint.write({"arrays": kept})
    return arrays


def _measured(data: Path, part: Part, checkpoint: Checkpoint | None) -> Fitted:
    def measure() -> Fitted:
        shapes = read_features(data, part)
        names = np.frombuffer("\n".join(shapes.names).encode(), np.uint8).copy()
        return {"names": names, "features": shapes.features, "labels": shapes.labels}

    return _kept(checkpoint and checkpoint.named(f"shapes_{part}"), measure)


def trained_record(
    data: Path,
    plan: Plan,
    *,
    threads: int = 1,
    progress: Progress = logger.info,
    checkpoint: Checkpoint | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """Return the weights and a record of cross-validation and validation.

    Members learn from the train part alone; calibration, threshold and gate come from the val part. The
    cross-validation repeats the training on other divisions of train and val together.

    Args:
        data: With ``train`` and ``val`` parts, as `read_features` takes it.
        plan: How to train.
        threads: Has no effect: scikit-learn's trees use one.
        progress: Told in words what is done.
        checkpoint: Beside which measures and every member are kept, and gone on with.
    """
    del threads
    require("onnx", extra="train")  # before minutes of measuring
    import sklearn

    train, val = _measured(data, "train", checkpoint), _measured(data, "val", checkpoint)
    names = train["names"].tobytes().decode().split("\n")
    train_labels, val_labels = train["labels"], val["labels"]
    progress(f"measured {len(train_labels)} and {len(val_labels)} shapes")
    mean, deviation = train["features"].mean(axis=0), train["features"].std(axis=0)
    deviation[deviation == 0] = 1.0  # a measure that is the same for all shapes of a small set
    known, seen = (train["features"] - mean) / deviation, (val["features"] - mean) / deviation
    members, _, of_val = trained_members(
        known, train_labels, plan, plan.seed, others=seen, checkpoint=checkpoint
    )
    progress(f"{len(members)} members")
    logits = np.mean(of_val, axis=0)
    point = operating_point(val_labels, logits, plan.unsure)
    chances = 1 / (1 + np.exp(-(point["slope"] * logits + point["offset"])))
    whitening = np.linalg.cholesky(np.linalg.inv(np.cov(known.T) + 0.05 * np.eye(known.shape[1])))
    settings: dict[str, Any] = {
        "features": names,
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "whitening": np.round(whitening, 6).tolist(),
        **point,
        "limit": 1.0,
        "seed": plan.seed,
        "numpy": np.__version__,
        "sklearn": sklearn.__version__,
    }
    settings["limit"] = float(np.quantile(distance(val["features"], settings), plan.accepted))
    everything = np.concatenate([train["features"], val["features"]])
    labels = np.concatenate([train_labels, val_labels])
    runs = []
    for repeat in range(plan.repeats):
        # the scale of the features is that of the train part in every division
        seed = plan.seed + 1000 * (repeat + 1)
        _, out, _ = trained_members(
            (everything - mean) / deviation, labels, plan, seed, checkpoint=checkpoint
        )
        runs.append(1 / (1 + np.exp(-out)))
        progress(f"cross-validation {repeat + 1} of {plan.repeats}: AUC {auc(labels, runs[-1]):.4f}")
    estimate = bootstrap({"auc": auc}, labels, np.mean(runs, axis=0), rng=np.random.default_rng(plan.seed))
    record = {
        "settings": {name: value for name, value in settings.items() if name != "whitening"},
        "auc_cross_validation": {
            "mean_of_repeats": float(np.mean([auc(labels, run) for run in runs])),
            "repeats": [auc(labels, run) for run in runs],
            "low": estimate["auc"].low,
            "high": estimate["auc"].high,
        },
        "auc_of_volume": auc(labels, everything[:, names.index("volume")]),
        "auc_validation": auc(val_labels, chances),
        "brier_validation": brier(val_labels, chances),
        "ece_validation": expected_calibration_error(val_labels, chances),
    }
    return onnx_trees(members, settings), record


def operating_point(labels: NDArray[np.int64], logits: Floats, unsure: float) -> dict[str, float]:
    """Return calibration (Platt, classes as frequent as they are), threshold and the zone without opinion.

    The threshold makes the smaller of sensitivity and specificity as large as it can be.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e6).fit(logits[:, None], labels)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    ordered = np.unique(logits)
    cuts = (ordered[1:] + ordered[:-1]) / 2
    sensitivity = (logits[labels == 1] >= cuts[:, None]).mean(axis=1)
    specificity = (logits[labels == 0] < cuts[:, None]).mean(axis=1)
    cut = float(cuts[np.argmax(np.minimum(sensitivity, specificity))])
    reach = float(np.quantile(np.abs(logits - cut), unsure))
    low, middle, high = (
        float(1 / (1 + np.exp(-(slope * logit + offset)))) for logit in (cut - reach, cut, cut + reach)
    )
    return {
        "slope": slope,
        "offset": offset,
        "threshold": middle,
        "abstain_low": low,
        "abstain_high": high,
    }


def onnx_trees(members: Sequence[Fitted], settings: dict[str, Any]) -> bytes:
    """Return an ONNX file: ``features`` (n, features), standardised, to ``logits`` (n, members).

    Raises:
        MissingExtraError: onnx is not installed.
        DataError: The file is larger than weights in the package may be.
    """
    onnx = require("onnx", extra="train")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    count, width = len(members), len(settings["features"])
    nodes: dict[str, list[Any]] = {
        name: []
        for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    }
    leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    first = 0
    for target, member in enumerate(members):
        columns = (member[name].tolist() for name in ("tree", "node", "left", "right", "feature"))
        values = (member[name].tolist() for name in ("threshold", "weight"))
        for tree, node, left, right, feature, threshold, weight in zip(*columns, *values, strict=True):
            leaf = left < 0
            nodes["treeids"].append(first + tree)
            nodes["nodeids"].append(node)
            nodes["modes"].append("LEAF" if leaf else "BRANCH_LEQ")
            nodes["featureids"].append(0 if leaf else feature)
            nodes["values"].append(0.0 if leaf else _below(threshold))
            nodes["truenodeids"].append(0 if leaf else left)
            nodes["falsenodeids"].append(0 if leaf else right)
            if leaf:
                for name, value in zip(leaves, (first + tree, node, target, weight), strict=True):
                    leaves[name].append(value)
        first += int(member["tree"].max()) + 1
    weights = np.stack([member["coefficients"] for member in members], axis=1)
    bias = np.concatenate([member["bias"] for member in members])
    graph = helper.make_graph(
        [
            helper.make_node(
                "TreeEnsembleRegressor",
                ["features"],
                ["of_trees"],
                domain="ai.onnx.ml",
                n_targets=count,
                **{f"nodes_{name}": values for name, values in nodes.items()},
                **{f"target_{name}": values for name, values in leaves.items()},
            ),
            helper.make_node("Gemm", ["features", "weights", "bias"], ["of_regressions"]),
            helper.make_node("Add", ["of_trees", "of_regressions"], ["logits"]),
        ],
        "adrenal_shape",
        [helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["cases", width])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["cases", count])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            numpy_helper.from_array(bias.astype(np.float32), "bias"),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    entry = model.metadata_props.add()
    entry.key, entry.value = SETTINGS_KEY, json.dumps(settings, sort_keys=True)
    content = bytes(model.SerializeToString())
    if len(content) > MAXIMUM_BYTES:
        raise DataError(f"weights of {len(content)} bytes", f"at most {MAXIMUM_BYTES}", "use fewer trees")
    return content


def _below(threshold: float) -> float:
    """Return the largest float32 that is not above a threshold, so that both decide alike on float32."""
    near = np.float32(threshold)
    return float(near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf)))
