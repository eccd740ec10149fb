"""Speed of reader studies, paired areas and surface distances; type-I error and power of the tests.

    python benchmarks/evaluation.py [--studies 500]

One thread (set OMP_NUM_THREADS=1). The peer `surface-distance` is timed in the same run where installed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from coread.errors import AnalysisError
from coread.evaluation.mrmc import ReaderStudy, analyse
from coread.evaluation.mrmc.covariance import Method
from coread.evaluation.mrmc.obuchowski_rockette import Components
from coread.evaluation.mrmc.planning import RoeMetz, power, roe_metz
from coread.evaluation.mrmc.ustatistics import mean_area
from coread.evaluation.roc import areas, compare_paired
from coread.evaluation.segmentation import surface_distances
from coread.evaluation.survival import concordance_se

SEED = 2026
METHODS: tuple[Method, ...] = ("delong", "jackknife", "unbiased")


RUNS = 5


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Return the median wall and CPU seconds of five runs."""
    times = []
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall, cpu = np.median(times, axis=0)
    return float(wall), float(cpu)


def study(readers: int, cases: int) -> ReaderStudy:
    rng = np.random.default_rng(SEED)
    return roe_metz(
        RoeMetz((1.2, 1.3)), readers=readers, diseased=cases // 2, healthy=cases - cases // 2, rng=rng
    )


def speed() -> None:
    rows = []
    large = study(20, 10_000)
    rows.append(("OR DeLong, 2 x 20 x 10,000", seconds(lambda: analyse(large)), "0.5 s"))
    rows.append(("OR jackknife, 2 x 20 x 10,000", seconds(lambda: analyse(large, method="jackknife")), ""))
    small = study(5, 114)
    rows.append(("OR DeLong, 2 x 5 x 114", seconds(lambda: analyse(small)), ""))
    rows.append(("U-statistics, 2 x 5 x 114", seconds(lambda: mean_area(small, "1", "2")), ""))
    rng = np.random.default_rng(SEED)
    truth = rng.random(1_000_000) < 0.3
    scores = rng.normal(size=(truth.size, 2)) + truth[:, None]
    rows.append(
        ("paired DeLong, 1,000,000 cases", seconds(lambda: compare_paired(areas(truth, scores))), "2 s")
    )
    z, y, x = np.ogrid[-128:128, -128:128, -128:128]
    a = (z / 90) ** 2 + (y / 100) ** 2 + (x / 80) ** 2 < 1
    b = (z / 88) ** 2 + ((y - 4) / 100) ** 2 + (x / 82) ** 2 < 1

    def ours() -> tuple[float, float]:
        found = surface_distances(a, b, (1.5, 0.8, 0.8))
        return found.hausdorff(95), found.surface_dice(2.0)

    times = np.maximum(np.ceil(rng.exponential(100, 50_000)), 1)
    events, risk = rng.random(times.size) < 0.6, rng.normal(size=times.size).round(3)
    rows.append(
        ("error of concordance, 50,000 cases", seconds(lambda: concordance_se(times, events, risk)), "5 s")
    )
    mine = seconds(ours)
    rows.append(("HD95 + NSD, two 256^3 masks", mine, "2 s"))
    try:
        import surface_distance as peer
    except ImportError:
        print("surface-distance is not installed: no time of the peer")
    else:

        def theirs() -> tuple[float, float]:
            d = peer.compute_surface_distances(a, b, (1.5, 0.8, 0.8))
            nsd = peer.compute_surface_dice_at_tolerance(d, 2.0)
            return peer.compute_robust_hausdorff(d, 95), nsd

        np.testing.assert_allclose(ours(), theirs(), rtol=1e-12)
        other = seconds(theirs)
        rows.append(("the same by surface-distance", other, f"ours took {mine[1] / other[1]:.2f} of it"))
    print(f"median of {RUNS} runs, one thread")
    print(f"{'what':36} {'wall s':>9} {'CPU s':>9}  limit")
    for name, (wall, cpu), limit in rows:
        print(f"{name:36} {wall:9.4f} {cpu:9.4f}  {limit}")


def type_one(studies: int) -> None:
    """Print how often each test rejects at 5 % where both modalities are equal."""
    print(f"\nType-I error under Roe and Metz's null, seed {SEED}:")
    print(f"{studies} studies of 5 readers, 50 + 50 cases")
    rng = np.random.default_rng(SEED)
    rejected: dict[str, list[bool]] = {}
    for _ in range(studies):
        s = roe_metz(RoeMetz((1.0, 1.0)), readers=5, diseased=50, healthy=50, rng=rng)
        for method in METHODS:
            try:
                p = analyse(s, method=method).test.p
            except AnalysisError:
                p = 1.0
            rejected.setdefault(f"OR {method}", []).append(p < 0.05)
        rejected.setdefault("U-statistics (BDG df)", []).append(mean_area(s, "1", "2").p < 0.05)
    error = 1.96 * np.sqrt(0.05 * 0.95 / studies)
    for name, found in rejected.items():
        rate = float(np.mean(found))
        print(f"{name:24} {rate:.3f}  (5 % -+ {error:.3f}: {'yes' if abs(rate - 0.05) <= error else 'no'})")


def planned_power(studies: int) -> None:
    """Print the power that planning predicts beside the share of simulated studies that reject.

    The prediction uses the mean variance components of the simulated studies, so that what is tested is the
    formula and not the luck of one pilot.
    """
    print(f"\nPower of Obuchowski-Rockette (DeLong) by planning and by simulation, seed {SEED}:")
    print(f"{'areas':>12} readers cases  predicted  simulated, {studies} studies")
    for separation, readers, cases in (((0.9, 1.3), 4, 80), ((1.0, 1.3), 8, 120), ((1.0, 1.2), 6, 200)):
        rng = np.random.default_rng(SEED)
        model = RoeMetz(separation)
        found = []
        for _ in range(studies):
            s = roe_metz(model, readers=readers, diseased=cases // 2, healthy=cases // 2, rng=rng)
            found.append(analyse(s))
        parts = [found_one.components for found_one in found if found_one.components is not None]
        mean = Components(*(float(np.mean([getattr(c, f.name) for c in parts])) for f in fields(Components)))
        pilot = replace(found[0], components=mean)
        effect = model.area(1) - model.area(0)
        plan = power(pilot, cases, readers=readers, cases=cases, effect=effect).power
        rate = float(np.mean([one.test.p < 0.05 for one in found]))
        error = 1.96 * float(np.sqrt(rate * (1 - rate) / studies))
        inside = "yes" if abs(rate - plan) <= error else "no"
        areas = f"{model.area(0):.3f}, {model.area(1):.3f}"
        print(f"{areas:>12} {readers:7} {cases:5}  {plan:9.3f}  {rate:.3f} -+ {error:.3f}: {inside}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=500)
    arguments = parser.parse_args()
    speed()
    type_one(arguments.studies)
    planned_power(arguments.studies)


if __name__ == "__main__":
    main()
