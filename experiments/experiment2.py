"""Experiment 2 (section 5, Figures 1 and 3): the maximum random gradient against sqrt(d), for k = n and k = 10n/d.

    python experiments/experiment2.py --preset paper --out runs/exp2

Preset paper: n = 10000, d from 10 to 5000, epsilon = 0.1, one seed (--seeds 3 for intervals); about an hour on two CPU
cores. Preset laptop: n = 1000, a minute. Expected: k = 10n/d rises about linearly in sqrt(d); k = n is
flatter, but not flat: its linear part grows like d/sqrt(n).
Writes figures/figure1.{png,pdf}, figures/figure3.{png,pdf}, summary.md and table.parquet in the run
directory.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from lawjax import cli, fits, report
from lawjax.report import markdown
from lawjax.sweep import BRACKETS, SweepConfig, run
from lawjax.sweep.grid import WIDTH_RULES, WidthRuleGrid
from lawjax.train.config import TrainingConfig

TRAINING = TrainingConfig(epsilon=0.1, step_limit=20_000)
PRESETS = {
    "smoke": SweepConfig(WidthRuleGrid(40, (10, 20, 40), seeds=2), TRAINING),
    "laptop": SweepConfig(WidthRuleGrid(1000, (10, 20, 50, 100, 200, 350, 500), seeds=3), TRAINING),
    "paper": SweepConfig(
        WidthRuleGrid(10_000, (10, 20, 50, 100, 200, 500, 1000, 2000, 3000, 4000, 5000), seeds=1), TRAINING
    ),
}


def by_rule(table: pl.DataFrame) -> pl.DataFrame:
    """The table with a column `width_rule`; a network of both rules (10n/d = n) appears under each."""
    parts = []
    for rule, width in WIDTH_RULES.items():
        k = [width(n, d) for n, d in table.select("n", "d").iter_rows()]
        parts.append(table.filter(pl.Series(k) == table["k"]).with_columns(width_rule=pl.lit(rule)))
    return pl.concat(parts)


def summary(table: pl.DataFrame) -> str:
    """Counts and fits in a Markdown table, and every network that fits."""
    from lawjax import plots

    rules = [_quantities(table.filter(width_rule=rule)) for rule in WIDTH_RULES]
    columns = ["proxy", "linear_part", "residual", "ascent", *(BRACKETS if plots.has_brackets(table) else [])]
    heads = ["d", "width rule", "k", "seed", "steps", *(name.replace("_", " ") for name in columns)]
    rows = [
        [
            *(row[name] for name in ("d", "width_rule", "k", "seed", "steps")),
            *(markdown.number(row[name], ".2f") for name in columns),
        ]
        for row in table.filter("fitted").sort("d", "width_rule", "seed").iter_rows(named=True)
    ]
    return markdown.text(
        "## Experiment 2\n",
        markdown.table(("quantity", *WIDTH_RULES), [(name, *(of[name] for of in rules)) for name in rules[0]]),
        "",
        markdown.table(heads, rows),
    )


def _quantities(asked: pl.DataFrame) -> dict[str, str]:
    """What is said of one width rule; little where networks of fewer than two dimensions fit."""
    kept = asked.filter("fitted")
    x, seeds = kept["d"].sqrt().to_numpy(), kept["seed"].to_numpy()
    enough = kept["d"].n_unique() > 1
    linear = (kept["linear_part"] / (kept["d"] / kept["n"].sqrt())).median()
    found = {
        "kept / asked for": f"{len(kept)} / {len(asked)}",
        "linear part / (d / sqrt(n)), median": markdown.number(linear, ".3f") if enough else "too few fit",
    }
    for column in ("proxy", "residual"):
        for form, fit in (("affine in", fits.affine), ("power of", fits.power_law)):
            text = report.fit_text(fit, x, kept[column].to_numpy(), seeds) if enough else "too few fit"
            found[f"{column}, {form} sqrt(d)"] = text
    return found


def plot(out: Path) -> None:
    """Draw Figures 1 and 3 and write the summary."""
    from lawjax import plots

    table = report.run_table(out)
    both = by_rule(table)
    figures = {"figure1": lambda: plots.figure1(both), "figure3": lambda: plots.figure3(both)}
    report.write(out, table, figures, lambda: summary(both))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/experiment2-{preset}", __doc__ or "")
