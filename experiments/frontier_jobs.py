"""What experiments/frontier.py searches for: its jobs, and how many they are in each preset."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lawjax import UserError, data
from lawjax.frontier import FrontierConfig, epsilon_of
from lawjax.sweep.grid import check_positive

DIGITS = 64  # pixels
MODELS = (*data.MODELS, "low-rank", "clustered", "digits", "digits-true")


@dataclass(frozen=True, kw_only=True)
class Job:
    """Networks of one kind and size, one for each seed.

    Attributes:
        source: frontier, adam, or a construction: caps, ramps, form.
        model: of the data.
        activation: psi.
        fit: epsilon, or "exact".
        domain: where the gradient is bounded.
        effort: times the usual number of steps.
        n: points.
        d: their dimension.
        k: neurons.
    """

    source: str = "frontier"
    model: str = "gaussian"
    activation: str = "relu"
    fit: str = "0.02"
    domain: str = "space"
    effort: int = 1
    n: int
    d: int
    k: int


@dataclass(frozen=True)
class Frontiers:
    """What is searched for.

    Attributes:
        sizes: (n, d) of the law, Gaussian data, epsilon = 0.02.
        ratios: n/k there; widths below 2n/d are left out.
        flat_n: n of the comparison of k = n with k = 10n/d.
        flat_d: its dimensions.
        fits: epsilon, or "exact", at (n, d) = `middle`.
        middle: (n, d) of everything that follows.
        activations: beside ReLU.
        models: of data, beside the Gaussian one.
        factor_ratios: n/k for activations, data models and the sphere.
        public: (n, d, epsilon) of the one public experiment of this kind, whose data are on the sphere.
        public_k: its widths.
        patient_k: widths that are searched ten times as long, too.
        steps: of each search.
        seeds: of data sets and starts.
    """

    sizes: tuple[tuple[int, int], ...] = ((200, 50), (400, 50), (400, 100), (400, 200), (1000, 50), (1000, 100))
    ratios: tuple[int, ...] = (1, 2, 4, 6, 10, 16, 24, 34, 50, 80)
    flat_n: int = 400
    flat_d: tuple[int, ...] = (25, 50, 100, 200, 400)
    fits: tuple[str, ...] = ("0.1", "0.5", "exact")
    middle: tuple[int, int] = (400, 100)
    activations: tuple[str, ...] = ("abs", "leaky_relu", "tanh")
    models: tuple[str, ...] = ("low-rank", "clustered", "digits", "digits-true")
    factor_ratios: tuple[int, ...] = (1, 4, 10, 24)
    public: tuple[int, int, str] = (256, 32, "0.15")
    public_k: tuple[int, ...] = (16, 64, 256)
    patient_k: tuple[int, ...] = (12, 20, 40, 100, 400)
    steps: int = 12_000
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check every field."""
        words = {"fits", "activations", "models", "public"}
        sizes = {name: value for name, value in vars(self).items() if name not in words}
        check_positive(**sizes, public=self.public[:2])
        for fit in (*self.fits, self.public[2]):
            epsilon_of(fit)
        for activation in self.activations:
            FrontierConfig(activation=activation)
        for model in self.models:
            if model not in MODELS:
                raise UserError(f"The models of data are {', '.join(MODELS)}, not {model!r}.")

    def jobs(self) -> list[Job]:
        """One for each kind of network and (n, d, k); every seed is a row."""
        parts = (self._law(), self._flatness(), self._factors(), self._sphere(), self._public(), self._patience())
        return list(dict.fromkeys(job for part in parts for job in part))

    def _law(self) -> Iterator[Job]:
        for n, d in self.sizes:
            for k in widths(n, d, self.ratios):
                yield from _beside_adam(Job(n=n, d=d, k=k))

    def _flatness(self) -> Iterator[Job]:
        n = self.flat_n
        for d in self.flat_d:
            for k in (n, round(10 * n / d)):
                yield from _beside_adam(Job(n=n, d=d, k=k))

    def _factors(self) -> Iterator[Job]:
        n, d = self.middle
        yield from (Job(n=n, d=d, k=k, fit=fit) for fit in self.fits for k in widths(n, d, self.ratios))
        for k in widths(n, d, self.factor_ratios):
            yield from (Job(n=n, d=d, k=k, activation=activation) for activation in self.activations)
            for model in self.models:
                yield Job(n=n, d=DIGITS if model.startswith("digits") else d, k=k, model=model)

    def _sphere(self) -> Iterator[Job]:
        n, d = self.middle
        for k in widths(n, d, self.factor_ratios):
            for domain in ("space", "sphere"):
                yield from _beside_adam(Job(n=n, d=d, k=k, model="sphere", domain=domain))
        on_sphere = Job(n=n, d=d, k=n, model="sphere", domain="sphere")
        yield replace(on_sphere, source="caps")
        yield replace(on_sphere, source="ramps", k=2 * n)
        if n <= d * (d + 1) // 2:
            yield replace(on_sphere, source="form", k=d, activation="power:2", fit="exact")

    def _public(self) -> Iterator[Job]:
        n, d, fit = self.public
        yield from (Job(n=n, d=d, k=k, model="sphere", fit=fit) for k in self.public_k)

    def _patience(self) -> Iterator[Job]:
        n, d = self.middle
        yield from (Job(n=n, d=d, k=k, effort=effort) for k in self.patient_k for effort in (1, 10))


def _beside_adam(job: Job) -> tuple[Job, Job]:
    return job, replace(job, source="adam")


def widths(n: int, d: int, ratios: tuple[int, ...]) -> list[int]:
    """k = n/ratio from 2n/d on: with fewer neurons hardly any network fits."""
    return [round(n / ratio) for ratio in ratios if n / ratio >= 2 * n / d]


SIZES = {field.name for field in dataclasses.fields(Frontiers)} - {"steps"}  # which networks there are: rows have them
PRESETS = {
    "smoke": Frontiers(  # 10n/d = n: one program for all that are as wide
        sizes=((20, 10),),
        ratios=(1, 4),
        flat_n=20,
        flat_d=(10,),
        fits=("exact",),
        middle=(20, 10),
        activations=("abs",),
        models=("low-rank",),
        factor_ratios=(4,),
        public=(20, 10, "0.15"),
        public_k=(5,),
        patient_k=(5,),
        steps=300,
        seeds=2,
    ),
    "laptop": Frontiers(
        sizes=((200, 50), (400, 50), (200, 100), (400, 100)),
        flat_n=200,
        flat_d=(25, 50, 100, 200),
        middle=(200, 50),
        patient_k=(10, 50),
        steps=5000,
        seeds=2,
    ),
    "paper": Frontiers(),
}
