"""A training stopped and taken up gives the weights of one that ran through. Needs the extra `train`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coread.errors import AnalysisError, DataError, InputError
from coread.recognition.training.checkpoint import Checkpoint
from coread.recognition.training.loop import (
    Fit,
    LoopPlan,
    Steps,
    Stopping,
    chosen_device,
    chosen_precision,
    fit,
)
from coread.recognition.training.unet import unet

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="needs the extra `train` (torch)")
PLAN = LoopPlan(epochs=5, batch=4, rate=0.05, patience=0)


@dataclass
class Line:
    """Points on a noisy line, seen through dropout: every source of randomness is used."""

    cases: int = 22
    stops_in: int | None = None
    losses: list[float] = field(default_factory=list)
    asked: int = 0

    def network(self) -> Any:
        nn = torch.nn
        return nn.Sequential(
            nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1)
        )

    def points(self) -> tuple[Any, Any]:
        x = torch.from_numpy(np.random.default_rng(0).normal(size=(self.cases, 3)).astype(np.float32))
        return x, x.sum(1, keepdim=True)

    def loss(self, network: Any, chosen: Any, generator: Any, steps: Steps) -> Any:
        self.asked += 1
        if self.asked == self.stops_in:
            raise KeyboardInterrupt
        x, y = self.points()
        with steps.precision():
            said = network(x[chosen] + 0.1 * torch.randn(len(chosen), 3, generator=generator))
        return ((said - y[chosen]) ** 2).mean()

    def figures(self, network: Any, device: str) -> dict[str, float]:
        if self.losses:
            return {"loss": self.losses.pop(0)}
        x, y = self.points()
        return {"loss": float(((network(x) - y) ** 2).mean())}


@dataclass
class Sides:
    """Points of two classes, one on each side of a curve."""

    cases: int = 256

    def network(self) -> Any:
        nn = torch.nn
        return nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1))

    def points(self, seed: int, count: int) -> tuple[Any, Any]:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(count, 2)).astype(np.float32)
        y = (x[:, 1] > x[:, 0] ** 2 - 0.5).astype(np.float32)
        return torch.from_numpy(x), torch.from_numpy(y)

    def kept(self) -> tuple[Any, Any]:
        return self.points(1, 128)

    def loss(self, network: Any, chosen: Any, generator: Any, steps: Steps) -> Any:
        x, y = (part[chosen].to(steps.device) for part in self.points(0, self.cases))
        with steps.precision():
            said = network(x)[:, 0]
        return torch.nn.functional.binary_cross_entropy_with_logits(said.float(), y)

    def figures(self, network: Any, device: str) -> dict[str, float]:
        x, y = (part.to(device) for part in self.kept())
        return {"loss": float(torch.nn.functional.binary_cross_entropy_with_logits(network(x)[:, 0], y))}


class Rows(list):
    def restart(self, rows: list) -> None:
        self[:] = [dict(row) for row in rows]

    def add(self, row: dict) -> None:
        self.append(dict(row))


def weights(result: Fit) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in result.network.state_dict().items()}


def quiet(words: str) -> None:
    pass


def test_early_stopping_waits_for_its_patience() -> None:
    state = Stopping(patience=3)
    for epoch, loss in enumerate([1.0, 0.5, math.nan, 0.5, 0.6], start=1):
        assert not state.over
        state = state.after(epoch, loss)
    assert state.over
    assert (state.best, state.epoch, state.improved) == (0.5, 2, False)
    never = Stopping(patience=0)
    for epoch in range(1, 50):
        never = never.after(epoch, 1.0)
    assert not never.over


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch": 0}, {"rate": 0.0}, {"patience": -1}])
def test_a_plan_that_cannot_be_followed_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="positive"):
        LoopPlan(**wrong)


@needs_torch
@pytest.mark.train
def test_steps_are_those_of_adamw_under_a_one_cycle_schedule() -> None:
    torch.manual_seed(0)
    ours = torch.nn.Linear(4, 1)
    theirs = torch.nn.Linear(4, 1)
    theirs.load_state_dict(ours.state_dict())
    steps = Steps(ours, 7, rate=0.1, decay=0.02, rise=0.3)
    optimiser = torch.optim.AdamW(theirs.parameters(), 0.1, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=7, pct_start=0.3)
    x = torch.randn(7, 5, 4)
    for batch in x:
        steps.take((ours(batch) ** 2).mean())
        optimiser.zero_grad()
        (theirs(batch) ** 2).mean().backward()
        optimiser.step()
        schedule.step()
    assert torch.equal(ours.weight, theirs.weight)


@needs_torch
@pytest.mark.train
def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    one, two, other = (fit(Line(), PLAN, seed=seed, progress=quiet) for seed in (1, 1, 2))
    assert weights(one) == weights(two)
    assert weights(one) != weights(other)


@needs_torch
@pytest.mark.train
@pytest.mark.parametrize("stops_in", [3, 6, 12, 25])
def test_stopped_anywhere_and_taken_up_it_gives_the_weights_of_one_that_ran_through(
    stops_in: int, tmp_path: Path
) -> None:
    """An epoch has five steps: the training is cut in the first, second, third and fifth epoch."""
    log, whole_log = Rows(), Rows()
    whole = fit(Line(), PLAN, seed=1, log=whole_log, progress=quiet)
    keep = Checkpoint(tmp_path / "deep" / "checkpoint.pt", "a plan")
    with pytest.raises(KeyboardInterrupt):
        fit(Line(stops_in=stops_in), PLAN, seed=1, checkpoint=keep, log=log, progress=quiet)
    assert keep.path.exists() == (stops_in > 5)
    torch.rand(100)  # another use of torch's generator meanwhile
    result = fit(Line(), PLAN, seed=1, checkpoint=replace(keep, resume=True), log=log, progress=quiet)
    assert weights(result) == weights(whole)
    assert result.rows == whole.rows
    assert list(log) == list(whole_log) == list(whole.rows)
    assert result.epoch == whole.epoch


@needs_torch
@pytest.mark.train
def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    keep = Checkpoint(tmp_path / "checkpoint.pt", "a plan", resume=True)
    first = fit(Line(), PLAN, seed=1, checkpoint=keep, progress=quiet)
    again = Line(stops_in=1)  # would stop at its first step
    assert weights(fit(again, PLAN, seed=1, checkpoint=keep, progress=quiet)) == weights(first)
    assert again.asked == 0


@needs_torch
@pytest.mark.train
def test_the_checkpoint_of_another_training_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    keep = Checkpoint(tmp_path / "checkpoint.pt", "a plan", resume=True)
    fit(Line(), replace(PLAN, epochs=1), seed=1, checkpoint=keep, progress=quiet)
    with pytest.raises(InputError, match="another plan"):
        fit(Line(), PLAN, seed=1, checkpoint=replace(keep, identity="another"), progress=quiet)
    for content in (b"", b"no checkpoint", keep.path.read_bytes()[:-200]):
        keep.path.write_bytes(content)
        with pytest.raises(DataError, match="can't be read"):
            fit(Line(), PLAN, seed=1, checkpoint=keep, progress=quiet)
    torch.save({"schema": "something"}, keep.path)
    with pytest.raises(DataError):
        fit(Line(), PLAN, seed=1, checkpoint=keep, progress=quiet)


@needs_torch
@pytest.mark.train
def test_it_stops_early_and_keeps_the_best_weights() -> None:
    class Watched(Line):
        def figures(self, network: Any, device: str) -> dict[str, float]:
            seen.append({k: v.clone() for k, v in network.state_dict().items()})
            return super().figures(network, device)

    seen: list[dict[str, Any]] = []
    task = Watched(losses=[0.9, 0.4, 0.6, 0.5, 0.1])
    result = fit(task, replace(PLAN, patience=2), seed=1, progress=quiet)
    assert (len(result.rows), result.epoch) == (4, 2)
    for name, value in result.network.state_dict().items():
        assert torch.equal(value, seen[1][name])
    assert not result.network.training


@needs_torch
@pytest.mark.train
def test_a_loss_that_is_no_number_ends_the_training() -> None:
    class Broken(Line):
        def loss(self, network: Any, chosen: Any, generator: Any, steps: Steps) -> Any:
            return super().loss(network, chosen, generator, steps) * math.nan

    with pytest.raises(AnalysisError, match="lower the rate"):
        fit(Broken(), PLAN, seed=1, progress=quiet)


@needs_torch
@pytest.mark.train
def test_a_cpu_computes_in_single_precision_unless_told() -> None:
    assert chosen_precision("auto", "cpu") == chosen_precision("float32", "cpu") == "float32"
    assert chosen_precision("bfloat16", "cpu") == "bfloat16"
    with pytest.raises(InputError, match="float16 on a CPU"):
        chosen_precision("float16", "cpu")
    network = torch.nn.Linear(4, 2)
    steps = Steps(network, 5, rate=0.1, decay=0.0, rise=0.2)
    with steps.precision():
        assert network(torch.randn(3, 4)).dtype == torch.float32
    plain, auto = (
        fit(Line(), replace(PLAN, precision=p), seed=1, progress=quiet) for p in ("float32", "auto")
    )
    assert weights(plain) == weights(auto)


@needs_torch
@pytest.mark.train
def test_half_precision_learns_what_single_precision_learns() -> None:
    """The same seed in both: activations are bfloat16, weights float32, losses near, classes the same."""
    network = torch.nn.Linear(4, 2)
    steps = Steps(network, 5, rate=0.1, decay=0.0, rise=0.2, precision="bfloat16")
    with steps.precision():
        assert network(torch.randn(3, 4)).dtype == torch.bfloat16
    assert not steps.scaler.is_enabled()  # the range of bfloat16 is that of float32
    plan = LoopPlan(epochs=12, batch=16, rate=0.02, patience=0)
    half, single = (
        fit(Sides(), replace(plan, precision=p), seed=1, progress=quiet) for p in ("bfloat16", "float32")
    )
    assert weights(half) != weights(single)
    assert {value.dtype for value in half.network.state_dict().values()} == {torch.float32}
    for figure in ("loss/train", "loss/validation"):
        curves = np.array([[row[figure] for row in found.rows] for found in (half, single)])
        assert np.abs(curves[0] - curves[1]).max() < 0.03
        assert curves[:, -1].max() < 0.5 * curves[:, 0].min()  # both have learnt
    x, _ = Sides().kept()
    with torch.no_grad():
        said = [found.network(x)[:, 0] for found in (half, single)]
    sure = said[1].abs() > 0.25  # a case on the border has no class to agree on
    assert sure.float().mean() > 0.9
    assert torch.equal((said[0] > 0)[sure], (said[1] > 0)[sure])


@needs_torch
@pytest.mark.train
@pytest.mark.parametrize("precision", ["auto", "float16", "bfloat16"])
def test_a_gpu_learns_in_half_precision_what_a_cpu_learns(precision: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    if precision == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("needs a GPU that computes in bfloat16")
    plan = LoopPlan(epochs=12, batch=16, rate=0.02, patience=0)
    half = fit(Sides(), replace(plan, precision=precision), seed=1, device="cuda", progress=quiet)
    single = fit(Sides(), plan, seed=1, progress=quiet)
    curves = np.array([[row["loss/train"] for row in found.rows] for found in (half, single)])
    assert np.abs(curves[0] - curves[1]).max() < 0.03
    steps = Steps(
        torch.nn.Linear(2, 1).cuda(), 3, rate=0.1, decay=0.0, rise=0.2, device="cuda", precision="float16"
    )
    assert steps.scaler.is_enabled()


@needs_torch
@pytest.mark.train
def test_a_gpu_answers_as_a_cpu_does() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    torch.manual_seed(0)
    network = unet(8, 3).eval()
    x = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        here, there = network(x), network.cuda()(x.cuda()).cpu()
    assert (here - there).abs().max() <= 1e-3 * max(1.0, float(here.abs().max()))


@needs_torch
@pytest.mark.train
def test_a_step_that_overflows_is_left_out() -> None:
    """The scaled losses of half precision, on the CPU: an infinite gradient halves the scale and no more."""
    network = torch.nn.Linear(4, 1)
    steps = Steps(network, 5, rate=0.1, decay=0.0, rise=0.2)
    steps.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = network.weight.detach().clone()
    steps.take(network(torch.full((1, 4), math.inf)).sum())
    assert torch.equal(network.weight, before)
    assert (steps.scaler.get_scale(), steps.schedule.last_epoch) == (512.0, 0)
    steps.take(network(torch.ones(1, 4)).sum())
    assert not torch.equal(network.weight, before)
    assert steps.schedule.last_epoch == 1


@needs_torch
@pytest.mark.train
def test_a_gpu_that_is_not_there_is_refused() -> None:
    assert chosen_device("cpu") == "cpu"
    if torch.cuda.is_available():
        pytest.skip("here is a GPU")
    assert chosen_device("auto") == "cpu"
    with pytest.raises(InputError, match="GPU"):
        chosen_device("cuda")
