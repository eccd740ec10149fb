"""Training of `coread.recognition.adrenal_shape`: gradient-boosted trees and a logistic regression."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.errors import DataError
from coread.extras import require
from coread.recognition.adrenal_shape import distance, read_features
from coread.recognition.metrics import auc, bootstrap, brier, expected_calibration_error
from coread.recognition.runtime import MAXIMUM_BYTES, SETTINGS_KEY
from coread.recognition.training.pneumonia import fold_numbers

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]
Floats = NDArray[np.float64]


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
    features: Floats, labels: NDArray[np.int64], plan: Plan, seed: int
) -> tuple[list[Member], Floats]:
    """Return a member for each fold, trained without it, and each case's logit by that member."""
    fold = fold_numbers(labels, plan.members, seed)
    members, out = [], np.zeros(len(labels))
    for number in range(plan.members):
        kept = fold != number
        member = trained_member(features[kept], labels[kept], plan, seed + number)
        out[~kept] = member.logits(features[~kept])
        members.append(member)
    return members, out


def trained_record(
    data: Path, plan: Plan, *, threads: int = 1, progress: Progress = logger.info
) -> tuple[bytes, dict[str, Any]]:
    """Return the weights and a record of cross-validation and validation.

    Members learn from the train part alone; calibration, threshold and gate come from the val part. The
    cross-validation repeats the training on other divisions of train and val together.
    """
    del threads  # scikit-learn's trees use one
    require("onnx", extra="train")  # before minutes of measuring
    import sklearn

    train, val = read_features(data, "train"), read_features(data, "val")
    progress(f"measured {len(train.labels)} and {len(val.labels)} shapes")
    mean, deviation = train.features.mean(axis=0), train.features.std(axis=0)
    deviation[deviation == 0] = 1.0  # a measure that is the same for all shapes of a small set
    known, seen = (train.features - mean) / deviation, (val.features - mean) / deviation
    members, _ = trained_members(known, train.labels, plan, plan.seed)
    logits = np.mean([member.logits(seen) for member in members], axis=0)
    point = operating_point(val.labels, logits, plan.unsure)
    chances = 1 / (1 + np.exp(-(point["slope"] * logits + point["offset"])))
    whitening = np.linalg.cholesky(np.linalg.inv(np.cov(known.T) + 0.05 * np.eye(known.shape[1])))
    settings: dict[str, Any] = {
        "features": list(train.names),
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "whitening": np.round(whitening, 6).tolist(),
        **point,
        "limit": 1.0,
        "seed": plan.seed,
        "numpy": np.__version__,
        "sklearn": sklearn.__version__,
    }
    settings["limit"] = float(np.quantile(distance(val.features, settings), plan.accepted))
    everything = np.concatenate([train.features, val.features])
    labels = np.concatenate([train.labels, val.labels])
    runs = []
    for repeat in range(plan.repeats):
        # the scale of the features is that of the train part in every division
        seed = plan.seed + 1000 * (repeat + 1)
        _, out = trained_members((everything - mean) / deviation, labels, plan, seed)
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
        "auc_of_volume": auc(labels, everything[:, train.names.index("volume")]),
        "auc_validation": auc(val.labels, chances),
        "brier_validation": brier(val.labels, chances),
        "ece_validation": expected_calibration_error(val.labels, chances),
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


def onnx_trees(members: Sequence[Member], settings: dict[str, Any]) -> bytes:
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
    number = 0
    for target, member in enumerate(members):
        for estimator in member.trees.estimators_[:, 0]:
            tree = estimator.tree_
            for node in range(tree.node_count):
                leaf = tree.children_left[node] < 0
                nodes["treeids"].append(number)
                nodes["nodeids"].append(node)
                nodes["modes"].append("LEAF" if leaf else "BRANCH_LEQ")
                nodes["featureids"].append(0 if leaf else int(tree.feature[node]))
                nodes["values"].append(0.0 if leaf else _below(float(tree.threshold[node])))
                nodes["truenodeids"].append(0 if leaf else int(tree.children_left[node]))
                nodes["falsenodeids"].append(0 if leaf else int(tree.children_right[node]))
                if leaf:
                    weight = member.trees.learning_rate * float(tree.value[node, 0, 0]) / 2
                    for name, value in zip(leaves, (number, node, target, weight), strict=True):
                        leaves[name].append(value)
            number += 1
    priors = [m.trees.init_.class_prior_ for m in members]
    weights = np.stack([m.regression.coef_[0] / 2 for m in members], axis=1)
    bias = np.array(
        [(m.regression.intercept_[0] + np.log(p[1] / p[0])) / 2 for m, p in zip(members, priors, strict=True)]
    )
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
