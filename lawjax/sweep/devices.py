"""What a sweep assumes of a device and of training on it: its tuning numbers, and the times predicted from them.

They decide speed alone: a network is the same network under any assumptions, up to rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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


CPU = Device(rate=8e10, overhead=1.5e-5, compile_time=0.8, workers=2, saturating=0.0, memory=6e9, chunk_time=0.5)
ACCELERATOR = Device(  # GPUs and TPUs
    rate=2e13, overhead=3e-4, compile_time=6.0, workers=2, saturating=2e10, memory=16e9, chunk_time=0.5
)


def device(platform: str) -> Device:
    """The assumptions for a JAX platform name."""
    return CPU if platform == "cpu" else ACCELERATOR


def step_flops(shape: PackShape) -> float:
    """Floating-point operations of one training step of a pack."""
    slots, n, d, neurons, networks = shape
    return slots * (4.0 * n * d * neurons + 6.0 * n * neurons * networks + 100.0 * n * neurons + 40.0 * d * neurons)
