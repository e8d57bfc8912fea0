"""What a sweep assumes of a device and of training on it: its tuning numbers, and the times predicted from them.

They decide speed alone: a network is the same network under any assumptions, up to rounding.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from dataclasses import dataclass

import jax

from lawjax.errors import UserError
from lawjax.train.config import TrainingConfig
from lawjax.train.slots import PackShape


@dataclass(frozen=True)
class StepRule:
    """Steps until a network fits, by a rule of thumb from full-batch Adam.

    factor n^of_n d^of_d k^of_k (0.001 / learning rate)^of_rate (n / batch size)^of_batch exp(load min(n/kd, most_load))
    and for narrow networks the share `stalled` min(d / 1000, 1) of the step limit besides.

    Attributes:
        factor: steps where all else is one.
        of_n: exponent of n.
        of_d: exponent of d.
        of_k: exponent of k.
        of_rate: exponent of 0.001 / learning rate.
        of_batch: exponent of the batches in an epoch.
        load: with few parameters for the points training takes long, and many networks never fit.
        most_load: points to a parameter of the hidden layer from which on it takes no longer.
        narrow: k below which many networks stall in high dimension.
        stalled: their share of the step limit at d = 1000.
        least: steps of any network; the step limit is the most.
    """

    factor: float = 670.0
    of_n: float = 0.42
    of_d: float = -0.65
    of_k: float = -0.37
    of_rate: float = 0.7
    of_batch: float = 0.5
    load: float = 1.85
    most_load: float = 5.0
    narrow: int = 16
    stalled: float = 0.4
    least: float = 20.0

    def predicted(self, n: int, d: int, k: int, config: TrainingConfig) -> float:
        """Steps of a network of k neurons on n points of dimension d."""
        steps = self.factor * n**self.of_n * d**self.of_d * k**self.of_k * (1e-3 / config.learning_rate) ** self.of_rate
        steps *= math.exp(self.load * min(n / (k * d), self.most_load))
        if k < self.narrow:
            steps += self.stalled * config.step_limit * min(d / 1000, 1.0)
        if config.batch_size is not None:
            steps *= max(1.0, n / config.batch_size) ** self.of_batch
        return min(max(steps, self.least), float(config.step_limit))


@dataclass(frozen=True)
class Device:
    """What is assumed of a device; rough figures suffice.

    Attributes:
        name: of its kind.
        rate: floating-point operations a second in large matrix products. On CPUs, "lawjax, warm" under "The grid of
            Experiment 1" in benchmarks/RESULTS.md: 174 GFLOP/s of two workers.
        overhead: seconds a training step takes besides arithmetic.
        compile_time: seconds to compile the programs of one shape. On CPUs, the same section: 117 s for 195 programs.
        workers: packs in training at once on one device, each from a thread of its own.
        saturating: floating-point operations a step should have to fill the device.
        memory: bytes that one pack may take.
        chunk_time: seconds of training between looks of the host.
        max_chunk: steps between looks, at most: fewer cost time of the host, more leave idle packs uncompacted.
        unit_time: predicted seconds after which a shape's jobs are split into another work unit.
        worth_moving: times that a smaller pack must be faster for what is still in training to move there.
        work_per_commit: training seconds for each second of storing state, so that large packs are not mostly stored.
        steps: how many steps networks are expected to take.
    """

    name: str
    rate: float
    overhead: float
    compile_time: float
    workers: int
    saturating: float
    memory: float
    chunk_time: float
    max_chunk: int = 250
    unit_time: float = 30.0
    worth_moving: float = 1.5
    work_per_commit: float = 20.0
    steps: StepRule = StepRule()

    def step_time(self, shape: PackShape) -> float:
        """Predicted seconds of one training step of a pack."""
        return self.overhead + step_flops(shape) / self.rate


CPU = Device("cpu", rate=8e10, overhead=1.5e-5, compile_time=0.8, workers=2, saturating=0.0, memory=6e9, chunk_time=0.5)
ACCELERATOR = Device(  # GPUs and TPUs
    "accelerator", rate=2e13, overhead=3e-4, compile_time=6.0, workers=2, saturating=2e10, memory=16e9, chunk_time=0.5
)
# Guesses from data sheets, for `--plan`: a third of the peak of float32 (on TPUs of products in six bfloat16 passes).
NAMED = {
    "cpu": CPU,
    "gpu": ACCELERATOR,
    "a100": dataclasses.replace(ACCELERATOR, name="a100", rate=6e12, memory=32e9),
    "h100": dataclasses.replace(ACCELERATOR, name="h100", rate=2e13, memory=64e9),
    "h200": dataclasses.replace(ACCELERATOR, name="h200", rate=2e13, memory=112e9),
    "v5e": dataclasses.replace(ACCELERATOR, name="v5e", rate=1.1e13, memory=12e9),
    "v5p": dataclasses.replace(ACCELERATOR, name="v5p", rate=2.5e13, memory=76e9),
}


def device(platform: str) -> Device:
    """The assumptions for a JAX platform name."""
    return CPU if platform == "cpu" else ACCELERATOR


def named_devices(text: str) -> tuple[Device, int]:
    """The assumptions for devices such as "h100:8", "v5e-16" or "cpu", and how many there are.

    Raises:
        UserError: there are no assumptions for this kind, or no number.
    """
    match = re.fullmatch(r"([a-z0-9]+?)(?:[:-]([0-9]{1,6}))?", text.lower())
    kind = NAMED.get(match[1]) if match else None
    if match is None or kind is None or match[2] == "0":
        raise UserError(f"Name devices as KIND or KIND:NUMBER, such as h100:8, with {', '.join(NAMED)}; not {text!r}.")
    return kind, int(match[2] or 1)


def memory(place: jax.Device) -> float:
    """Bytes that a device of this process has; infinite where that is not known."""
    stats = place.memory_stats()
    if stats and "bytes_limit" in stats:
        return float(stats["bytes_limit"])
    if place.platform == "cpu" and "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return math.inf


def pack_bytes(shape: PackShape) -> float:
    """Bytes that the arrays of a pack and of its step take, in float32."""
    slots, n, d, neurons, _ = shape
    # Points and their second moment; parameters, gradients and Adam's two moments twice; activations and theirs.
    return 4.0 * slots * (n * d + d * d + 8 * d * neurons + 6 * n * neurons)


def step_flops(shape: PackShape) -> float:
    """Floating-point operations of one training step of a pack."""
    slots, n, d, neurons, networks = shape
    return slots * (4.0 * n * d * neurons + 6.0 * n * neurons * networks + 100.0 * n * neurons + 40.0 * d * neurons)
