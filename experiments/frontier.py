"""The frontier: the smoothest networks that fit, certified, over n, d and k, beside Adam's and what is impossible.

    python experiments/frontier.py --preset paper --out runs/frontier

Conjecture 1 speaks of every network that fits; this searches for the smoothest (`lawjax.frontier`). Preset paper: three
seeds, n up to 1000; six (n, d) with k from 2n/d to n; k = n and k = 10n/d over d = 25 to 400; epsilon = 0.02, 0.1, 0.5
and exact fits; Gaussian and sphere data, bounds on R^d and on the sphere; other activations, low-rank, clustered and
real data; a search ten times as long. About half an hour on two CPU cores; preset laptop: five. Expected:
about 1.2 sqrt(n/k) at small k, two to four times below Adam's networks. Writes networks/*.npz with a certificate
each (`lawjax check runs/frontier`), figures, summary.md and table.parquet in the run directory.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl

from lawjax import (
    Dataset,
    TrainingConfig,
    TwoLayer,
    UserError,
    cli,
    constructions,
    data,
    fits,
    keys,
    lower_bounds,
    memorize,
    report,
)
from lawjax.frontier import EXACT, FrontierConfig, Problem, epsilon_of, search_all
from lawjax.lipschitz import Bracket, max_random_gradient, path_product
from lawjax.lipschitz.bracketing import brackets
from lawjax.quantiles import quantiles
from lawjax.sweep.grid import WIDTH_RULES, check_positive
from lawjax.sweep.jobs import Job, job_table, run_jobs
from lawjax.sweep.paths import RunPaths

DIGITS = 64  # pixels
TRAINING = TrainingConfig(epsilon=0.02, step_limit=3000)
MODELS = (*data.MODELS, "low-rank", "clustered", "digits", "digits-true")


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
        whole = (
            "sizes",
            "ratios",
            "flat_n",
            "flat_d",
            "middle",
            "factor_ratios",
            "public_k",
            "patient_k",
            "steps",
            "seeds",
        )
        check_positive(**{name: getattr(self, name) for name in whole}, public=self.public[:2])
        for fit in (*self.fits, self.public[2]):
            epsilon_of(fit)
        for activation in self.activations:
            FrontierConfig(activation=activation)
        for model in self.models:
            if model not in MODELS:
                raise UserError(f"The models of data are {', '.join(MODELS)}, not {model!r}.")

    def jobs(self) -> list[Job]:
        """One for each kind of network and (n, d, k); every seed is a row."""
        from lawjax.report.plots import USUAL

        base = {"source": "frontier", **USUAL}
        found: dict[tuple[Any, ...], Job] = {}

        def add(n: int, d: int, k: int, **changes: str | int) -> None:
            job = {**base, **changes, "n": n, "d": d, "k": k}
            found.setdefault(tuple(job.values()), job)

        for n, d in self.sizes:
            for k in widths(n, d, self.ratios):
                add(n, d, k)
                add(n, d, k, source="adam")
        for d in self.flat_d:
            for k in (self.flat_n, round(10 * self.flat_n / d)):
                add(self.flat_n, d, k)
                add(self.flat_n, d, k, source="adam")
        n, d = self.middle
        for fit in self.fits:
            for k in widths(n, d, self.ratios):
                add(n, d, k, fit=fit)
        for k in widths(n, d, self.factor_ratios):
            for activation in self.activations:
                add(n, d, k, activation=activation)
            for model in self.models:
                add(n, DIGITS if model.startswith("digits") else d, k, model=model)
            for domain in ("space", "sphere"):
                add(n, d, k, model="sphere", domain=domain)
                add(n, d, k, model="sphere", domain=domain, source="adam")
        add(n, d, n, model="sphere", domain="sphere", source="caps")
        add(n, d, 2 * n, model="sphere", domain="sphere", source="ramps")
        if n <= d * (d + 1) // 2:
            add(n, d, d, model="sphere", domain="sphere", source="form", activation="power:2", fit="exact")
        n, d, fit = self.public
        for k in self.public_k:
            add(n, d, k, model="sphere", fit=fit)
        for k in self.patient_k:
            add(*self.middle, k)
            add(*self.middle, k, effort=10)
        return list(found.values())


def widths(n: int, d: int, ratios: tuple[int, ...]) -> list[int]:
    """k = n/ratio from 2n/d on: with fewer neurons hardly any network fits."""
    return [round(n / ratio) for ratio in ratios if n / ratio >= 2 * n / d]


# Fields that say which networks there are; the rows have them.
SIZES = {
    "sizes",
    "ratios",
    "flat_n",
    "flat_d",
    "fits",
    "middle",
    "activations",
    "models",
    "factor_ratios",
    "public",
    "public_k",
    "patient_k",
    "seeds",
}
PRESETS = {
    "smoke": Frontiers(
        sizes=((32, 16),),
        ratios=(1, 4),
        flat_n=32,
        flat_d=(16,),
        fits=("exact",),
        middle=(32, 16),
        activations=("abs",),
        models=("low-rank",),
        factor_ratios=(4,),
        public=(32, 16, "0.15"),
        public_k=(8,),
        patient_k=(8,),
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


def run(config: Frontiers, out: Path, shard: tuple[int, int] = (1, 1)) -> None:
    """Measure what is not measured yet."""
    folder = RunPaths(out).networks

    def measure(**job: Any) -> list[dict[str, Any]]:
        return [_row(job, seed, *found, folder) for seed, found in enumerate(_MAKERS[job["source"]](job, config))]

    run_jobs(out, {"experiment": "frontier", **dataclasses.asdict(config)}, config.jobs(), measure, shard)


def points(model: str, n: int, d: int, seed: int) -> Dataset:
    """A data set by the name of its model; `digits` has labels at random, `digits-true` says whether a digit is odd."""
    key = keys.data_key(n, d, seed)
    if model == "low-rank":
        return data.low_rank(key, n, d, max(1, d // 5))
    if model == "clustered":
        return data.clustered(key, n, d, max(1, n // 20))
    if model.startswith("digits"):
        return _digits(key, n, model == "digits-true")
    return data.MODELS[model](key, n, d)


def _digits(key: Any, n: int, true_labels: bool) -> Dataset:
    """n of scikit-learn's 1797 digits of 64 pixels, centred, of mean squared length one."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError(
            "The digits come with scikit-learn: pip install scikit-learn, or leave out their models."
        ) from None
    found = load_digits()
    drawn, labels = jax.random.split(key)
    chosen = np.asarray(jax.random.permutation(drawn, len(found.data)))[:n]
    x = found.data[chosen] - found.data.mean(0)
    x /= math.sqrt(float(np.mean(np.sum(x**2, axis=1))))
    y = (
        np.where(found.target[chosen] % 2, 1.0, -1.0)
        if true_labels
        else np.asarray(jax.random.rademacher(labels, (n,)))
    )
    return data.dataset(x, y.astype(np.float64))


def _searched(job: dict[str, Any], config: Frontiers) -> list[tuple[TwoLayer, Bracket, np.ndarray]]:
    n, k = job["n"], job["k"]
    searched = FrontierConfig(
        epsilon=epsilon_of(job["fit"]),
        activation=job["activation"],
        domain=job["domain"],
        steps=job["effort"] * config.steps,
        starts=2 if 4 * k <= n else 1,  # the widest agree to a few parts in a thousand
    )
    problems = [
        Problem(points(job["model"], n, job["d"], seed), k, keys.weights_key(n, job["d"], seed))
        for seed in range(config.seeds)
    ]
    return [(found.network, found.bracket, found.uppers) for found in search_all(problems, searched)]


def _trained(job: dict[str, Any], config: Frontiers) -> list[tuple[TwoLayer, Bracket, np.ndarray]]:
    n, d = job["n"], job["d"]
    networks = []
    for seed in range(config.seeds):
        dataset = points(job["model"], n, d, seed)
        network = memorize(dataset, job["k"], keys.weights_key(n, d, seed), TRAINING)[0].network
        networks.append(network if network is not None else TwoLayer(np.zeros((1, d)), np.zeros(1), np.zeros(1)))
    return _bracketed(networks, job)


def _built(job: dict[str, Any], config: Frontiers) -> list[tuple[TwoLayer, Bracket, np.ndarray]]:
    build = _CONSTRUCTIONS[job["source"]]
    drawn = [points(job["model"], job["n"], job["d"], seed) for seed in range(config.seeds)]
    return _bracketed([build(dataset).network for dataset in drawn], job)


def _bracketed(networks: list[TwoLayer], job: dict[str, Any]) -> list[tuple[TwoLayer, Bracket, np.ndarray]]:
    found = brackets(networks, (job["domain"],))[job["domain"]]
    return [(network, one, np.array([one.upper])) for network, one in zip(networks, found, strict=True)]


_CONSTRUCTIONS = {
    "caps": constructions.caps,  # section 3.2
    "ramps": constructions.ramps,
    "form": constructions.smoothest_quadratic,  # of Theorem 2's kind
}
_MAKERS = {"frontier": _searched, "adam": _trained} | dict.fromkeys(_CONSTRUCTIONS, _built)


def _row(
    job: dict[str, Any], seed: int, network: TwoLayer, found: Bracket, uppers: np.ndarray, folder: Path
) -> dict[str, Any]:
    """What is measured of one network, which is stored with its certificate."""
    dataset = data.float64(points(job["model"], job["n"], job["d"], seed))
    error = network.astype(np.float64)(dataset.x) - dataset.y
    loss, epsilon = float(np.mean(error**2)), epsilon_of(job["fit"])
    fitted = loss <= epsilon and (error * dataset.y > -1).all() if epsilon else np.abs(error).max() <= EXACT
    name = "-".join(str(value) for value in (*job.values(), seed))
    report.write_network(folder, name, network, found.proof.record(network))
    probed = max_random_gradient(network, keys.probe_key(job["n"], job["d"], job["k"], seed))
    return {
        "seed": seed,
        "fitted": bool(fitted),
        "lower": found.lower,
        "upper": found.upper,
        "loss": loss,
        "fit_error": float(np.abs(error).max()),
        "uppers": [None if math.isnan(upper) else float(upper) for upper in uppers],
        "proxy": float(probed.maximum),
        "linear_part": float(probed.linear_part),
        "residual": float(probed.residual),
        "floor": lower_bounds.floor(dataset, epsilon).value,
        "theorem4": lower_bounds.theorem4(dataset, job["k"], epsilon=epsilon).value,
        "network": name,
    }


def _usual(table: pl.DataFrame) -> pl.DataFrame:
    """The rows that are not of another activation, data model, fit, domain or effort."""
    from lawjax import plots

    return plots.usual(table)


def exponents(table: pl.DataFrame) -> pl.DataFrame:
    """For every (n, d) of the law: the power of sqrt(n/k) that certificates follow where k <= n/4, and constants."""
    rows = []
    found = _usual(table).filter("fitted", pl.col("source") == "frontier")
    for (n, d), own in found.group_by("n", "d", maintain_order=True):
        narrow = own.filter(4 * pl.col("k") <= pl.col("n"))
        if narrow["k"].n_unique() < 3:
            continue
        x, upper = np.sqrt((narrow["n"] / narrow["k"]).to_numpy()), narrow["upper"].to_numpy()
        fit = fits.power_law(x, upper, narrow["seed"].to_numpy())
        below = narrow.filter(2 * pl.col("k") <= pl.col("d"))
        within = None
        if below["k"].n_unique() >= 3:
            within = fits.power_law(
                np.sqrt((below["n"] / below["k"]).to_numpy()), below["upper"].to_numpy(), below["seed"].to_numpy()
            )
        scaled = own.with_columns(scaled=pl.col("upper") * (pl.col("k") / pl.col("n")).sqrt())
        rows.append(
            {
                "n": n,
                "d": d,
                "k": f"{narrow['k'].min()} to {narrow['k'].max()}",
                "exponent": _with_interval(fit),
                "within": "-" if within is None else _with_interval(within),
                "narrow": float(np.median(upper / x)),
                "least": float(scaled["scaled"].min()),  # type: ignore[arg-type]
                "at": int(scaled.sort("scaled")["k"][0]),
            }
        )
    return pl.DataFrame(rows)


def _with_interval(fit: fits.PowerFit) -> str:
    low, high = fit.exponent_interval
    return f"{fit.exponent:.3f} [{low:.3f}, {high:.3f}]"


def summary(table: pl.DataFrame) -> str:
    """Counts, exponents, and every setting's medians over seeds, as Markdown."""
    found = table.filter(source="frontier")
    fitted = found.filter("fitted")
    middle, high, most = quantiles(fitted["upper"] / fitted["lower"], (0.5, 0.95, 1.0))
    wrong = found.filter(~pl.col("fitted")).select("model", "activation", "fit", "n", "d", "k", "seed").rows()
    lines = [
        "## The frontier\n",
        f"{len(fitted)} of {len(found)} searches found a network that fits. Upper/lower: {middle:.3f} in the median, "
        f"{high:.3f} at 95 %, {most:.3f} at most.",
        f"\nNot fitted: {', '.join(map(str, wrong)) or 'none'}.",
        "\n## The law: upper ~ (n/k)^(exponent/2) where k <= n/4\n",
        "| n | d | k | exponent in sqrt(n/k), 95 % | and where k <= d/2 | upper sqrt(k/n), k <= n/4, median "
        "| least, any k | at k |",
        "| --- " * 8 + "|",
    ]
    for row in exponents(table).iter_rows(named=True):
        lines.append(
            f"| {row['n']} | {row['d']} | {row['k']} | {row['exponent']} | {row['within']} "
            f"| {row['narrow']:.3f} | {row['least']:.3f} | {row['at']} |"
        )
    lines += ["\n## Beside Adam's networks and what is impossible\n", *_beside(table)]
    lines += ["\n## In units of sqrt(n / min(k, d))\n", *_in_units_of_the_bend(table)]
    lines += ["\n## Beside what no certificate can beat\n", _beside_the_least(table)]
    lines += ["\n## k = n and k = 10n/d against d\n", *_against_d(table)]
    names = ("source", "model", "activation", "fit", "domain", "effort", "n", "d", "k")
    lines += [
        "\n## Every setting, medians over seeds\n",
        f"| {' | '.join(names)} | fitted | lower | upper | linear part | floor | spread of starts |",
        "| --- " * (len(names) + 6) + "|",
    ]
    for key, own in table.group_by(names, maintain_order=True):
        fits_ = own.filter("fitted")
        cells = [f"{len(fits_)}/{len(own)}"]
        if len(fits_):
            cells += [f"{fits_[column].median():.4g}" for column in ("lower", "upper", "linear_part", "floor")]
            cells.append(_spread(fits_))
        else:
            cells += ["-"] * 5
        lines.append("| " + " | ".join([*map(str, key), *cells]) + " |")
    return "\n".join(lines) + "\n"


def _beside(table: pl.DataFrame) -> list[str]:
    """How tight brackets are, and ratios to Adam's networks, proxies, impossible bounds and other starts."""
    fitted = table.filter("fitted", source="frontier").with_columns(ratio=pl.col("upper") / pl.col("lower"))
    relu = fitted.filter(activation="relu")
    narrow = pl.col("k") <= pl.col("d")
    found = _usual(fitted)
    adam = _usual(table).filter("fitted", source="adam")
    pairs = found.join(adam, on=["n", "d", "k", "seed"], suffix="_adam")
    starts = [[upper for upper in uppers if upper is not None] for uppers in fitted["uppers"].to_list()]
    spread = pl.Series([max(uppers) / min(uppers) for uppers in starts if len(uppers) > 1], dtype=pl.Float64)
    impossible = pl.max_horizontal("floor", "theorem4")
    least = fitted.filter(model="gaussian", activation="relu", domain="space", effort=1).with_columns(
        constant=pl.col("upper") * (pl.col("k") / pl.col("n")).sqrt()
    )
    of_fits = least.sort("constant").group_by("fit", maintain_order=True).first()
    return [
        "| of networks that fit | least | median | 90 % | largest |",
        "| --- " * 5 + "|",
        _quantiles("upper/lower, ReLU, k <= d", relu.filter(narrow)["ratio"]),
        _quantiles("upper/lower, ReLU, k > d", relu.filter(~narrow)["ratio"]),
        _quantiles("lower bound of Adam's network / certificate", pairs["lower_adam"] / pairs["upper"]),
        _quantiles("proxy / lower bound", found["proxy"] / found["lower"]),
        _quantiles(
            "certificate / larger of data floor and Theorem 4", found.select(pl.col("upper") / impossible).to_series()
        ),
        _quantiles("steepest start that fits / smoothest", spread),
        "\nLeast certificate sqrt(k/n), Gaussian data, ReLU, R^d: "
        + ", ".join(
            f"{row['constant']:.3f} for {row['fit']} at {(row['n'], row['d'], row['k'])}"
            for row in of_fits.sort("fit").iter_rows(named=True)
        )
        + f". Starts that differ by over 20 %: {int((spread > 1.2).sum())} of {len(spread)}.",
    ]


def _quantiles(name: str, values: pl.Series) -> str:
    shown = quantiles(values, (0.0, 0.5, 0.9, 1.0))
    return f"| {name} | " + " | ".join("-" if math.isnan(value) else f"{value:.3f}" for value in shown) + " |"


def _in_units_of_the_bend(table: pl.DataFrame) -> list[str]:
    """Medians over seeds of upper / sqrt(n / min(k, d)), by n/d, over all k."""
    found = _usual(table).filter("fitted", source="frontier")
    least = pl.min_horizontal("k", "d")
    units = found.with_columns(scaled=pl.col("upper") * (least / pl.col("n")).sqrt(), ratio=pl.col("n") / pl.col("d"))
    medians = units.group_by("ratio", "n", "d", "k").agg(pl.col("scaled").median())
    lines = ["| n/d | networks (n, d, k) | least | median | largest |", "| --- " * 5 + "|"]
    for (ratio,), own in medians.sort("ratio").group_by("ratio", maintain_order=True):
        scaled = own["scaled"]
        lines.append(f"| {ratio:g} | {len(own)} | {scaled.min():.2f} | {scaled.median():.2f} | {scaled.max():.2f} |")
    return lines


def _beside_the_least(table: pl.DataFrame) -> str:
    """The path product, and the certificate over the least that one with this path product can have."""
    found = _usual(table).filter("fitted", source="frontier")
    least = found["path"] / 2 / found.select(pl.min_horizontal(pl.col("k") + 1, "d").sqrt()).to_series()
    over, in_units = (found["upper"] / least).to_numpy(), (found["path"] / found["n"].sqrt()).to_numpy()
    return (
        f"Path products are {in_units.min():.2f} to {in_units.max():.2f} sqrt(n). Certificates are {over.min():.3f} to "
        f"{over.max():.3f} times half of them over sqrt(min(k + 1, d)), {np.median(over):.3f} in the median."
    )


def _spread(rows: pl.DataFrame) -> str:
    """The largest certificate of a start that fits over the least, the worst of the seeds."""
    kept = [[upper for upper in uppers if upper is not None] for uppers in rows["uppers"].to_list()]
    several = [max(uppers) / min(uppers) for uppers in kept if len(uppers) > 1]
    return f"{max(several):.3f}" if several else "one start"


def _against_d(table: pl.DataFrame) -> list[str]:
    """Medians of certificates and the powers of sqrt(d) they follow."""
    rows = _usual(table).filter("fitted")
    counts = rows.filter(pl.col("k") == pl.col("n"), source="frontier").group_by("n").agg(pl.col("d").n_unique())
    n = int(counts.sort("d", "n")["n"][-1])
    lines = ["| width | networks | median certificate by d | exponent in sqrt(d), 95 % |", "| --- " * 4 + "|"]
    for rule, width in WIDTH_RULES.items():
        for source in ("frontier", "adam"):
            own = rows.filter(pl.Series([row[0] == width(n, row[1]) for row in rows.select("k", "d").iter_rows()]))
            own = own.filter(n=n, source=source).sort("d")
            if own["d"].n_unique() > 1:
                medians = own.group_by("d", maintain_order=True).agg(pl.col("upper").median())
                fit = fits.power_law(np.sqrt(own["d"].to_numpy()), own["upper"].to_numpy(), own["seed"].to_numpy())
                values = ", ".join(f"{d}: {upper:.3g}" for d, upper in medians.iter_rows())
                lines.append(f"| {rule} | {source} | {values} | {_with_interval(fit)} |")
    return lines


def plot(out: Path) -> None:
    """Draw the figures and write the summary."""
    from lawjax import plots

    table = job_table(out, ("source", "model", "activation", "fit", "domain", "effort", "n", "d", "k", "seed"))
    stored = RunPaths(out).networks
    table = table.with_columns(
        path=pl.Series([path_product(TwoLayer.load(stored / f"{name}.npz")) for name in table["network"]])
    )
    settings = report.changed(out, PRESETS["paper"], SIZES)
    figures = {
        "law": plots.frontier_law(table, settings),
        "flat": plots.frontier_flat(table, settings),
        "factors": plots.frontier_factors(table, settings),
        "constructions": plots.frontier_constructions(table, settings),
    }
    report.write(out, table, figures, summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/frontier", __doc__ or "")
