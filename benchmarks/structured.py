"""Structured networks (tests/structured_networks.py) against exact constants: what is wrong, and how wide brackets are.

    python benchmarks/structured.py 1000
    python benchmarks/structured.py 10000 --certificates --rows after.parquet
    python benchmarks/structured.py --read before.parquet

Each network is asked four questions: R^d, ball, sphere, along the sphere. Prints Markdown tables by kind and by
question. Counted are bounds on the wrong side of the exact value (tests/exact_oracles.py) or of one another,
exceptions, NaN, (0, 0) for what is not 0, upper bounds above the path product, witnesses off their domain or where
`lower` is not attained, and in d <= 2 bounds that are off by more than 1e-9 (lower ones from what points in float64 can
show). A sentence (UserError) is counted apart. What rounding leaves of sums that cancel, some 1e-15 of the path
product, counts as 0. With --smooth psi is tanh, GELU or softplus, and the largest of many samples stands for the exact
value.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from common import machine, reference

from lawjax import Bracket, TwoLayer, UserError, bracket, check, cli
from lawjax.domains import named

TOGETHER = 16  # networks in one call; an exception there hides none, as they are then asked one by one
COUNTS = {  # columns of the tables: faults of tests/bracket_faults.py that they count
    "wrong side": ("lower > exact", "upper < exact", "lower > upper"),
    "NaN": ("NaN",),
    "(0, 0)": ("(0, 0)",),
    "> path": ("upper > path",),
    "witness": ("witness off its domain", "not attained"),
    "lower open": ("lower, d <= 2", "lower < samples"),
    "upper open": ("upper, d <= 2",),
}
RATIOS = {"lower / exact": 0.01, "upper / exact": 0.99, "upper / lower": 0.99}  # quantiles beside the median


class Answer(NamedTuple):
    """What a call gave: a bracket, or an exception in words; and a warning."""

    found: Bracket | None
    error: str = ""
    is_sentence: bool = False
    warning: str = ""


def answers(networks: list[TwoLayer], domain: str, radius: float, tangential: bool) -> list[Answer]:
    """The brackets of several networks, together if nothing happens."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return [Answer(found) for found in bracket(networks, named(domain, radius, tangential))]
    except Exception:
        return [answer(network, domain, radius, tangential) for network in networks]


def answer(network: TwoLayer, domain: str, radius: float, tangential: bool) -> Answer:
    """The bracket of one network."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = bracket(network, named(domain, radius, tangential))
        except Exception as error:
            return Answer(None, f"{type(error).__name__}: {error}", isinstance(error, UserError))
    return Answer(found, warning=f"{caught[0].category.__name__}: {caught[0].message}" if caught else "")


def unproved(network: TwoLayer, found: Bracket, folder: Path) -> str:
    """Why the bracket's certificate is not proved by the checker; empty if it is."""
    try:
        record = found.proof.record(network)
        network.save(folder / "f.npz")
        (folder / "f.json").write_text(json.dumps(record), encoding="utf-8")
        valid, why = check.check(folder / "f.npz", folder / "f.json")
        return "" if valid else str(why).replace(str(folder), "")
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def rows_of(seeds: range, smooth: bool, certificates: bool, kinds: list[str] | None) -> Iterator[dict[str, Any]]:
    """One row for each network and question, kind after kind."""
    structured, judge = reference("structured_networks").structured, reference("bracket_faults")
    drawn = [(seed, structured(seed, smooth)) for seed in seeds]
    alike = defaultdict(list)
    for seed, one in drawn:
        if kinds is None or one.kind in kinds:
            alike[one.kind, one.radius].append((seed, one.network))
    for (kind, radius), members in sorted(alike.items()):
        for start in range(0, len(members), TOGETHER):
            some = members[start : start + TOGETHER]
            for domain, tangential in judge.QUESTIONS:
                begun = time.perf_counter()
                given = answers([network for _, network in some], domain, radius, tangential)
                seconds = (time.perf_counter() - begun) / len(some)
                for (seed, network), one in zip(some, given, strict=True):
                    yield {
                        "seed": seed,
                        "kind": kind,
                        "activation": network.activation.name,
                        "d": network.dimension,
                        "k": network.n_neurons,
                        "radius": radius,
                        "question": judge.in_words(domain, tangential),
                        "seconds": seconds,
                        **judged(judge, network, domain, radius, tangential, one, certificates),
                    }


def judged(
    judge: Any, network: TwoLayer, domain: str, radius: float, tangential: bool, one: Answer, certificates: bool
) -> dict[str, Any]:
    """An answer beside the truth."""
    found = one.found
    true = judge.truth(network, domain, radius, tangential, *([] if found is None else [found.lower]))
    row = {
        **true._asdict(),
        "path": judge.path_of(network),
        "error": one.error,
        "is_sentence": one.is_sentence,
        "warning": one.warning,
        "lower": None,
        "upper": None,
        "faults": [],
        "unproved": "",
    }
    row |= dict.fromkeys(RATIOS)
    if found is None:
        return row
    row |= {"lower": float(found.lower), "upper": float(found.upper)}
    row["faults"] = judge.faults(network, domain, radius, tangential, found, true)
    if true.surely < math.inf and "NaN" not in row["faults"]:
        row |= dict(zip(RATIOS, judge.ratios(network, found, true), strict=True))
    if certificates and math.isfinite(found.upper):
        with tempfile.TemporaryDirectory() as folder:
            row["unproved"] = unproved(network, found, Path(folder))
    return row


def counted(table: pl.DataFrame, by: str) -> list[str]:
    """The Markdown table by kind or by question, with all together at the end."""
    heads = [by, "networks", "exceptions", "sentences", "warnings", *COUNTS, "unproved"]
    heads += [f"{ratio}, {middle}" for ratio, far in RATIOS.items() for middle in ("median", f"{far:.0%}")] + ["ms"]
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    parts = [(str(name), part) for (name,), part in table.group_by(by, maintain_order=True)]
    for name, part in [*parts, ("all", table)]:
        cells = [name, str(part["seed"].n_unique()), *map(str, counts(part))]
        for ratio, far in RATIOS.items():
            cells += [short(part[ratio].quantile(level, "higher")) for level in (0.5, far)]
        cells.append(f"{1000.0 * part.select(pl.col('seconds').mean()).item():.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def counts(part: pl.DataFrame) -> list[int]:
    """How many rows have an exception, a sentence, a warning, each kind of fault, and no proof."""
    failed = part.filter(pl.col("error") != "")
    faults = [
        part.filter(pl.col("faults").list.eval(pl.element().is_in(names)).list.any()).height
        for names in COUNTS.values()
    ]
    sentences = int(failed["is_sentence"].sum())
    warned, not_proved = (int((part[column] != "").sum()) for column in ("warning", "unproved"))
    return [failed.height - sentences, sentences, warned, *faults, not_proved]


def short(value: float | None) -> str:
    """A ratio: 1 with what it is off by."""
    if value is None:
        return ""
    return f"1 {value - 1.0:+.0e}" if 1e-14 < abs(value - 1.0) < 1e-3 else f"{value:.4g}"


def messages(table: pl.DataFrame) -> list[str]:
    """Every distinct message, how often it came, and for which kinds; with a seed."""
    lines = []
    for column in ("error", "warning", "unproved"):
        said = table.filter(pl.col(column) != "").with_columns(pl.col(column).str.replace_all(r"[\d.e+-]{4,}", "#"))
        grouped = said.group_by(column).agg(pl.len(), pl.col("kind").unique().sort(), pl.col("seed").first())
        for message, count, kinds, seed in grouped.sort("len", descending=True).iter_rows():
            lines.append(f"- {column}, {count} times: {message.strip()} ({', '.join(kinds)}; seed {seed})")
    return lines


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=200, help="how many networks")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--kinds", nargs="+", help="only these, of the networks drawn")
    parser.add_argument("--smooth", action="store_true", help="tanh, GELU and softplus")
    parser.add_argument("--certificates", action="store_true", help="write each certificate and check it")
    parser.add_argument("--rows", type=Path, help="write a row for each network and question (.parquet or .csv)")
    parser.add_argument("--read", type=Path, nargs="+", help="only print the tables of such rows (.parquet)")
    options = parser.parse_args()
    if options.read:
        print_tables(pl.concat(map(pl.read_parquet, options.read)).sort("kind", "seed", maintain_order=True))
        return
    if options.count < 1:
        raise UserError(f"There must be at least one network, not {options.count}.")
    if options.rows is not None and (
        options.rows.suffix not in (".parquet", ".csv") or not options.rows.absolute().parent.is_dir()
    ):
        raise UserError(f"{options.rows} must end in .parquet or .csv and lie in a folder that exists.")
    seeds = range(options.first, options.first + options.count)
    print(f"{machine()}. Seeds {seeds.start} to {seeds.stop - 1}.\n", flush=True)
    rows = list(rows_of(seeds, options.smooth, options.certificates, options.kinds))
    if not rows:
        raise UserError("None of these networks is of such a kind.")
    table = pl.DataFrame(rows, infer_schema_length=None)
    if options.rows is not None:
        write(table, options.rows)
    print_tables(table)


def print_tables(table: pl.DataFrame) -> None:
    """By kind, by question, and what was said."""
    for by in ("kind", "question"):
        print("\n".join(counted(table, by)) + "\n")
    print("\n".join(messages(table)))


def write(table: pl.DataFrame, path: Path) -> None:
    """The rows, for comparisons."""
    if path.suffix == ".parquet":
        table.write_parquet(path)
    else:
        table.with_columns(pl.col("faults").list.join("; ")).write_csv(path)


if __name__ == "__main__":
    cli.guarded(main)
