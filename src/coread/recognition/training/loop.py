"""The steps that every training here takes, and whole trainings that can be stopped and taken up again.

`Steps` is one optimiser under one schedule. `fit` runs epochs with a validation after each, stops early,
logs, and leaves a checkpoint from which it goes on as if it had never stopped: on a CPU to the last bit.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, get_args

from coread.errors import AnalysisError, InputError
from coread.extras import require
from coread.recognition.training.checkpoint import Checkpoint

logger = logging.getLogger(__name__)
Tensor = Any
Module = Any
Generator = Any
Progress = Callable[[str], None]
Row = Mapping[str, float]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]


class Steps:
    """Steps of AdamW under one cycle of the learning rate.

    Args:
        network: Whose parameters are learnt.
        count: Number of steps of the cycle.
        rate: Highest learning rate.
        decay: Weight decay.
        rise: Part of the steps until the highest rate.
        device: Where the network is.
        precision: In which numbers the network is run; weights, losses and steps are float32 in any case.
            With float16 losses are scaled, and a step that overflows is left out.

    References:
        Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019; Smith and Topin,
        Super-convergence, SPIE 11006 (2019); Micikevicius et al., Mixed precision training, ICLR 2018.
    """

    def __init__(
        self,
        network: Module,
        count: int,
        *,
        rate: float,
        decay: float,
        rise: float,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        torch = require("torch", extra="train")
        self.device = device
        self.numbers = precision
        self.optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)
        longer = rise * count == 1  # torch divides by zero where the rise is a single step
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, rate, total_steps=count + longer, pct_start=rise
        )
        self.scaler = torch.amp.GradScaler(device, enabled=precision == "float16")

    def precision(self) -> AbstractContextManager[Any]:
        """Return the context in which the network is run."""
        torch = require("torch", extra="train")
        context: AbstractContextManager[Any] = torch.autocast(
            self.device,
            dtype=torch.float16 if self.numbers == "float16" else torch.bfloat16,
            enabled=self.numbers != "float32",
        )
        return context

    def take(self, loss: Tensor) -> None:
        """Take one step down a loss."""
        self.optimiser.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimiser)
        scale = self.scaler.get_scale()
        self.scaler.update()
        if self.scaler.get_scale() >= scale:  # else half precision overflowed and the step was left out
            self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on."""
        return {name: getattr(self, name).state_dict() for name in ("optimiser", "schedule", "scaler")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        for name in ("optimiser", "schedule", "scaler"):
            getattr(self, name).load_state_dict(state[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopPlan:
    """How a network is trained.

    Attributes:
        epochs: Passes over the training cases at most.
        batch: Cases a step.
        rate: Highest learning rate of the one-cycle schedule.
        decay: Weight decay.
        rise: Part of the steps until the highest rate.
        patience: Epochs without a better validation after which the training stops; 0 for never.
        precision: In which numbers a network is run: float32, bfloat16, float16 (on a GPU), or ``auto``:
            on a GPU bfloat16 where it computes in it, else float16; on a CPU float32.
        width: Channels of the network's first level.
        seed: Of everything.
    """

    epochs: int = 40
    batch: int = 16
    rate: float = 3e-3
    decay: float = 1e-3
    rise: float = 0.2
    patience: int = 12
    precision: str = "auto"
    width: int = 16
    seed: int = 20261125

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.width) < 1 or self.rate <= 0 or self.patience < 0:
            raise InputError(
                f"epochs={self.epochs}, batch={self.batch}, width={self.width}, rate={self.rate}, "
                f"patience={self.patience}",
                "positive numbers; patience 0 for never",
            )
        if self.precision not in get_args(Precision):
            raise InputError(f"precision={self.precision!r}", f"one of {', '.join(get_args(Precision))}")


@dataclass(frozen=True, slots=True)
class Stopping:
    """Early stopping: how the validation has gone so far.

    Attributes:
        patience: Epochs without a better validation after which to stop; 0 for never.
        best: Least loss so far.
        epoch: When that was, counted from 1; 0 before the first.
        since: Epochs since then.

    Examples:
        >>> state = Stopping(2)
        >>> for epoch, loss in enumerate([0.5, 0.4, 0.45, 0.4], start=1):
        ...     state = state.after(epoch, loss)
        >>> state.over, state.best, state.epoch
        (True, 0.4, 2)
    """

    patience: int
    best: float = math.inf
    epoch: int = 0
    since: int = 0

    def after(self, epoch: int, loss: float) -> Stopping:
        """Return the state after an epoch; an equal loss or one that is no number is no improvement."""
        if loss < self.best:
            return replace(self, best=loss, epoch=epoch, since=0)
        return replace(self, since=self.since + 1)

    @property
    def improved(self) -> bool:
        """Whether the last epoch was the best."""
        return self.epoch > 0 and self.since == 0

    @property
    def over(self) -> bool:
        """Whether to stop."""
        return 0 < self.patience <= self.since


class Task(Protocol):
    """What is learnt: a network, its loss on some cases, its figures on those kept for validation."""

    @property
    def cases(self) -> int:
        """Number of training cases."""
        ...

    def network(self) -> Module:
        """Return a new network; torch's generator is seeded before."""
        ...

    def loss(self, network: Module, chosen: Tensor, generator: Generator, steps: Steps) -> Tensor:
        """Return the loss on some training cases (their numbers), run in `Steps.precision`."""
        ...

    def figures(self, network: Module, device: str) -> dict[str, float]:
        """Return figures on the validation cases; ``loss`` is the one to make small."""
        ...


class Log(Protocol):
    """Keeps a row of figures an epoch."""

    def restart(self, rows: list[Row]) -> None:
        """Begin with these rows."""
        ...

    def add(self, row: Row) -> None:
        """Add one."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What `fit` gives.

    Attributes:
        network: With the weights of the best epoch, ready to be used, on the CPU.
        epoch: Which that was, counted from 1.
        rows: Figures of each epoch.
    """

    network: Module
    epoch: int
    rows: tuple[Row, ...]


def chosen_device(wanted: Device = "auto") -> str:
    """Return ``cuda`` or ``cpu``.

    Raises:
        InputError: A GPU is wanted and torch sees none.
    """
    torch = require("torch", extra="train")
    there = bool(torch.cuda.is_available())
    if wanted == "cuda" and not there:
        raise InputError("device cuda", "a GPU that torch can use", "take --device cpu")
    return "cuda" if there and wanted != "cpu" else "cpu"


def chosen_precision(wanted: str, device: str) -> str:
    """Return ``float32``, ``bfloat16`` or ``float16``.

    Args:
        wanted: One of `Precision`.
        device: ``cpu`` or ``cuda``.

    Raises:
        InputError: float16 on a CPU, or bfloat16 on a GPU that doesn't compute in it.
    """
    torch = require("torch", extra="train")
    if device == "cpu":
        if wanted == "float16":
            raise InputError("precision float16 on a CPU", "a GPU", "take bfloat16 or float32")
        return "bfloat16" if wanted == "bfloat16" else "float32"
    able = bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if wanted == "bfloat16" and not able:
        raise InputError("precision bfloat16", "a GPU that computes in it", "take float16 or float32")
    if wanted == "auto":
        return "bfloat16" if able else "float16"
    return wanted


def fit(
    task: Task,
    plan: LoopPlan,
    *,
    seed: int,
    device: str = "cpu",
    checkpoint: Checkpoint | None = None,
    log: Log | None = None,
    progress: Progress = logger.info,
) -> Fit:
    """Return a network trained on a task, with the weights of its best epoch.

    Args:
        task: What is learnt.
        plan: How.
        seed: Of weights, order, changes and dropout.
        device: ``cpu`` or ``cuda``.
        checkpoint: Written after every epoch; where it is to be resumed, the training goes on from it.
        log: Told the figures of every epoch.
        progress: Told in words what is done.

    Raises:
        AnalysisError: The loss is no number.
        InputError: The checkpoint is of another training.
    """
    torch = require("torch", extra="train")
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = task.network().to(device)
    per_epoch = max(task.cases // plan.batch, 1)
    steps = Steps(
        network,
        plan.epochs * per_epoch,
        rate=plan.rate,
        decay=plan.decay,
        rise=plan.rise,
        device=device,
        precision=chosen_precision(plan.precision, device),
    )
    stopping, rows, best = Stopping(plan.patience), list[Row](), dict[str, Tensor]()
    state = checkpoint.read() if checkpoint else None
    if state is not None:
        network.load_state_dict(state["network"])
        steps.load_state_dict(state["steps"])
        generator.set_state(state["generator"])
        torch.set_rng_state(state["random"])
        if device == "cuda" and state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"])
        stopping, rows, best = Stopping(plan.patience, *state["stopping"]), state["rows"], state["best"]
        progress(f"goes on after epoch {len(rows)}")
    if log is not None:
        log.restart(rows)
    while len(rows) < plan.epochs and not stopping.over:
        network.train()
        order, total = torch.randperm(task.cases, generator=generator), 0.0
        for step in range(per_epoch):
            loss = task.loss(network, order[step * plan.batch : (step + 1) * plan.batch], generator, steps)
            if not torch.isfinite(loss):
                raise AnalysisError(
                    f"the loss is {float(loss.detach())} in epoch {len(rows) + 1}",
                    "a number",
                    "lower the rate",
                )
            steps.take(loss)
            total += float(loss.detach())
        network.eval()
        with torch.no_grad():
            figures = task.figures(network, device)
        epoch = len(rows) + 1
        stopping = stopping.after(epoch, figures["loss"])
        if stopping.improved or not best:
            best = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        row = {"epoch": float(epoch), "rate": float(steps.optimiser.param_groups[0]["lr"])}
        row |= {"loss/train": total / per_epoch}
        row |= {f"{name}/validation": float(value) for name, value in figures.items()}
        rows.append(row)
        if checkpoint is not None:
            checkpoint.write(
                {
                    "network": network.state_dict(),
                    "best": best,
                    "steps": steps.state_dict(),
                    "generator": generator.get_state(),
                    "random": torch.get_rng_state(),
                    "cuda": torch.cuda.get_rng_state() if device == "cuda" else None,
                    "stopping": [stopping.best, stopping.epoch, stopping.since],
                    "rows": [dict(row) for row in rows],
                }
            )
        if log is not None:
            log.add(row)
        told = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        progress(f"epoch {epoch} of {plan.epochs}: training loss {total / per_epoch:.4f}; validation {told}")
    if stopping.over:
        progress(f"stopped early: no better validation since epoch {stopping.epoch}")
    network.load_state_dict(best)
    return Fit(network.cpu().eval(), stopping.epoch or len(rows), tuple(rows))
