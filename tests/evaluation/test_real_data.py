"""Real readers and a real detector: LIDC (four readers) and outputs of a wrist-fracture detector."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from coread.evaluation.agreement import icc, krippendorff_alpha
from coread.evaluation.froc import figures, froc_study
from coread.evaluation.localisation import match_marks
from coread.evaluation.roc import areas_of_parts, auc
from coread.evaluation.segmentation import overlap, surface_distances
from coread.evaluation.subgroups import subgroup_report


@pytest.fixture(scope="module")
def wrist(shared):
    folder = shared / "images/breast_msk/wrist_fracture_predictions_gpl3"
    return pd.read_csv(folder / "images.csv"), pd.read_csv(folder / "boxes.csv")


@pytest.fixture(scope="module")
def detector(wrist):
    """The detector as a free-response reader: a fracture box on a fractured image counts as a hit."""
    images, boxes = wrist
    sick = images["fracture_visible"].to_numpy() == 1
    truth = pd.DataFrame({"case": images["image"], "diseased": sick.astype(int)})
    truth["lesion"] = np.where(sick, "1", None)
    marks = boxes[boxes["class"] == "fracture"].rename(columns={"image": "case", "confidence": "rating"})
    hit = marks["case"].isin(images["image"][sick])
    marks = marks.assign(reader="detector", modality="AI", kind=np.where(hit, "LL", "NL"))
    return froc_study(marks.assign(lesion=np.where(hit, "1", None)), truth)


def test_detector_by_case_equals_rank_sums_and_the_counts_of_the_data(wrist, detector):
    images, boxes = wrist
    best = boxes[boxes["class"] == "fracture"].groupby("image")["confidence"].max()
    score = images["image"].map(best).fillna(0.0).to_numpy()
    sick = images["fracture_visible"].to_numpy() == 1
    u = stats.mannwhitneyu(score[sick], score[~sick]).statistic / (sick.sum() * (~sick).sum())
    assert figures(detector, "HrAuc")[0, 0] == pytest.approx(u, rel=1e-12)
    assert u == pytest.approx(0.979, abs=5e-4)  # as the data's own description says
    assert figures(detector, "HrSe")[0, 0] == pytest.approx((score[sick] > 0).mean(), rel=1e-12)
    assert figures(detector, "HrSe")[0, 0] == pytest.approx(0.973, abs=5e-4)
    assert figures(detector, "HrSp")[0, 0] == pytest.approx(0.835, abs=5e-4)
    healthy = boxes[(boxes["class"] == "fracture") & boxes["image"].isin(images["image"][~sick])]
    assert figures(detector, "MaxNLF")[0, 0] == pytest.approx(len(healthy) / (~sick).sum(), rel=1e-12)


def corners(rows):
    centre, size = rows[["x_centre", "y_centre"]].to_numpy(), rows[["width", "height"]].to_numpy()
    return np.stack([centre - size / 2, centre + size / 2], axis=1)


@pytest.mark.parametrize("limit", [0.0, 0.1])
def test_matching_of_boxes_by_overlap_equals_plain_loops(wrist, limit):
    """Fracture boxes against boxes of periosteal reaction, which often lie on the same bone."""
    _, boxes = wrist
    hits = 0
    for _, rows in itertools.islice(boxes.groupby("image"), 800):
        marks = corners(rows[rows["class"] == "fracture"])
        others = corners(rows[rows["class"] == "periostealreaction"])
        want = []
        for a in marks:
            found, best = -1, -1.0
            for k, b in enumerate(others):
                width = min(a[1][0], b[1][0]) - max(a[0][0], b[0][0])
                height = min(a[1][1], b[1][1]) - max(a[0][1], b[0][1])
                both = width * height if width > 0 and height > 0 else 0.0
                union = np.prod(a[1] - a[0]) + np.prod(b[1] - b[0]) - both
                if both > 0 and both / union >= limit and both / union > best:
                    found, best = k, both / union
            want.append(found)
        assert match_marks(marks, others, rule="overlap", limit=limit).tolist() == want
        hits += sum(k >= 0 for k in want)
    assert hits > 0


def test_patients_with_images_in_both_subgroups_are_clusters_of_both(wrist):
    images, _ = wrist
    images = images[images["projection"].isin((1, 2))].head(700)
    truth, score = images["fracture_visible"].to_numpy(), images["p_fracture"].to_numpy()
    patient, first = images["patient"].to_numpy(), images["projection"].to_numpy() == 1
    found = areas_of_parts(truth, score, [first, ~first], clusters=patient)
    names = list(dict.fromkeys(patient))

    def part(inside, of):
        return [k for k in range(len(truth)) if inside[k] and truth[k] == of]

    sums = {}
    for n, inside in enumerate((first, ~first)):
        sick, well = part(inside, 1), part(inside, 0)
        success = np.array(
            [[(score[i] > score[j]) + 0.5 * (score[i] == score[j]) for j in well] for i in sick]
        )
        area = success.mean()
        assert found.area[n] == pytest.approx(area, rel=1e-12)
        for of, rows, values in ((1, sick, success.mean(axis=1)), (0, well, success.mean(axis=0))):
            total = dict.fromkeys(names, 0.0)
            for k, v in zip(rows, values, strict=True):
                total[patient[k]] += (v - area) / len(rows)
            sums[n, of] = total, {patient[k] for k in rows}

    def covariance(a, b):
        total = 0.0
        for u, v in itertools.product((0, 1), (0, 1)):
            if u == v:
                n = len(sums[a, u][1] | sums[b, v][1])
            else:
                n = len(set().union(*(sums[x, y][1] for x in (a, b) for y in (0, 1))))
            total += n / (n - 1) * sum(sums[a, u][0][p] * sums[b, v][0][p] for p in names)
        return total

    want = np.array([[covariance(a, b) for b in (0, 1)] for a in (0, 1)])
    assert found.covariance == pytest.approx(want, rel=1e-10)
    assert want[0, 1] > 0.1 * want[0, 0]  # the two views of one wrist do agree
    group = np.where(first, "frontal", "lateral")
    report = subgroup_report(truth, score, group, 0.5, clusters=patient).groups
    z = (found.area[0] - found.area[1]) / np.sqrt(want[0, 0] + want[1, 1] - 2 * want[0, 1])
    raw = 2 * stats.norm.sf(abs(z))
    assert [g.p for g in report] == pytest.approx([min(2 * raw, 1)] * 2, rel=1e-9)


def test_clustered_comparison_of_subgroups_holds_its_level():
    """Two films of every patient, one in each group: independent groups would reject far too rarely."""
    rng = np.random.default_rng(5)
    p = []
    for _ in range(400):
        truth = np.repeat(rng.random(60) < 0.5, 2)
        score = np.repeat(rng.normal(size=60), 2) + 0.5 * rng.normal(size=120) + truth
        group, patient = np.tile(["a", "b"], 60), np.repeat(np.arange(60), 2)
        found = areas_of_parts(truth, score, [group == "a", group == "b"], clusters=patient)
        c = found.covariance
        z = (found.area[0] - found.area[1]) / np.sqrt(c[0, 0] + c[1, 1] - 2 * c[0, 1])
        p.append(2 * stats.norm.sf(abs(z)))
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=1.96 * np.sqrt(0.05 * 0.95 / 400) + 0.01)


@pytest.fixture(scope="module")
def nodules(shared):
    return pd.read_csv(shared / "images/chest/lidc_nodules/nodules.csv")


def votes(shared, name):
    from PIL import Image

    return np.asarray(Image.open(shared / f"images/chest/lidc_nodules/votes/{name}.png")) // 60


def test_dice_of_two_readers_from_their_votes(shared, nodules):
    """Of two readers, the pixels with two votes are what both drew and those with one or two their union."""
    two = nodules[(nodules["n_readers"] == 2) & (nodules["n_slices"] <= 2)]
    flat = 0
    for row in two.itertuples():
        count = votes(shared, row.id)
        found = overlap(count >= 1, count >= 2)
        both, every = int((count == 2).sum()), int((count >= 1).sum())
        assert found.jaccard == pytest.approx(both / every, rel=1e-12)
        dice = 2 * found.jaccard / (1 + found.jaccard)
        assert dice == pytest.approx(2 * both / int(count.sum()), rel=1e-12)
        if row.n_slices == 1:  # the slice is the whole nodule, of which the data give the readers' Dice
            assert dice == pytest.approx(row.reader_dice_mean, abs=5.1e-4)
            flat += 1
    assert flat == 7


def test_surface_distances_of_readers_equal_plain_loops(shared):
    """What one reader or more drew against what all four drew, a nodule in three dimensions."""
    import nibabel as nib

    image = nib.load(shared / "images/chest/lidc_ct/LIDC-IDRI-0001_votes.nii.gz")
    count = np.asarray(image.dataobj).T.astype(int)
    spacing = tuple(float(s) for s in image.header.get_zooms()[::-1])
    count = count // 60 if count.max() > 4 else count
    box = tuple(slice(v.min() - 1, v.max() + 2) for v in np.nonzero(count))
    count = count[box]
    for low, high in ((1, 4), (2, 3)):
        a, b = count >= low, count >= high
        found = surface_distances(a, b, spacing)
        sides = []
        for mask in (a, b):
            padded = np.pad(mask, 1)
            cubes = np.lib.stride_tricks.sliding_window_view(padded, (2, 2, 2)).sum(axis=(3, 4, 5))
            sides.append(np.argwhere((cubes > 0) & (cubes < 8)) * np.array(spacing))
        far = cdist(*sides)
        assert np.sort(far.min(axis=1)) == pytest.approx(found.to_mask, rel=1e-9)
        assert np.sort(far.min(axis=0)) == pytest.approx(found.to_truth, rel=1e-9)
        assert found.hausdorff(100) == pytest.approx(max(far.min(axis=1).max(), far.min(axis=0).max()))
        assert overlap(a, b).dice == pytest.approx(2 * b.sum() / (a.sum() + b.sum()), rel=1e-12)


def test_volume_by_four_readers_has_the_icc_of_the_analysis_of_variance(shared):
    table = pd.read_csv(shared / "predict/cohorts/lidc_annotations_train.csv")
    four = table.groupby(["scan_id", "nodule"]).filter(lambda g: len(g) == 4)
    x = np.log(four["volume_mm3"].to_numpy().reshape(-1, 4))
    n, k = x.shape
    between = k * sum((row.mean() - x.mean()) ** 2 for row in x) / (n - 1)
    within = sum((v - row.mean()) ** 2 for row in x for v in row) / (n * (k - 1))
    want = (between - within) / (between + (k - 1) * within)
    found = icc(x, "ICC(1,1)")
    assert found.value == pytest.approx(want, rel=1e-10)
    f = between / within
    limits = [
        (v - 1) / (v + k - 1)
        for v in (f / stats.f.ppf(0.975, n - 1, n * (k - 1)), f * stats.f.ppf(0.975, n * (k - 1), n - 1))
    ]
    assert (found.interval.low, found.interval.high) == pytest.approx(limits, rel=1e-10)
    assert 0.8 < want < 1  # four readers measure one nodule much alike


def test_alpha_of_malignancy_is_one_less_observed_by_expected_disagreement(shared):
    table = pd.read_csv(shared / "predict/cohorts/lidc_annotations_train.csv").head(1500)
    units = [g["malignancy"].tolist() for _, g in table.groupby(["scan_id", "nodule"]) if len(g) > 1]
    units = [u[:4] for u in units]
    ratings = np.array([[*u, *[np.nan] * (4 - len(u))] for u in units]).T
    every = [v for u in units for v in u]
    observed = sum(
        sum((a - b) ** 2 for a, b in itertools.permutations(u, 2)) / (len(u) - 1) for u in units
    ) / len(every)
    expected = sum((a - b) ** 2 for a, b in itertools.permutations(every, 2)) / (
        len(every) * (len(every) - 1)
    )
    assert krippendorff_alpha(ratings, metric="interval") == pytest.approx(1 - observed / expected, rel=1e-10)


def test_diameter_tells_malignant_looking_from_benign_looking_as_described(nodules):
    some = nodules[(nodules["n_readers"] >= 3) & nodules["eq_diameter_mm"].notna()]
    some = some[some["label"].isin(("malignant-looking", "benign-looking"))]
    assert len(some) == 264 + 290
    found = auc(some["label"] == "malignant-looking", some["eq_diameter_mm"])
    assert found == pytest.approx(0.928, abs=5e-4)
