"""Measure how often limits cover the truth: ``python -m benchmarks.coverage --quick``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.coverage import output
from benchmarks.coverage.methods import OFFERED
from benchmarks.coverage.populations import DESIGNS, POOL, Population, load, simulate
from benchmarks.coverage.study import SIZES, Plan, study

_QUICK_TRIALS, _QUICK_SIZES, _QUICK_POOL = 100, (250, 1000), 2**17


def main() -> None:
    options = _options()
    plan = Plan(
        trials=options.sims or (_QUICK_TRIALS if options.quick else 1000),
        sizes=tuple(options.sizes) if options.sizes else _QUICK_SIZES if options.quick else SIZES,
        budget=200_000 if options.quick else 2_000_000,
        metrics=tuple(options.metrics),
        seed=options.seed,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    rows = study(_populations(options, plan), plan)
    print(output.summary_table(rows))
    for metric in dict.fromkeys(row["metric"] for row in rows):
        print(f"\n{output.population_table(rows, metric)}")
    settings = {"trials": plan.trials, "sizes": list(plan.sizes), "seed": plan.seed, "pool": _pool(options)}
    if options.out:
        output.write_json(rows, settings, options.out)
    if options.plot:
        output.draw(rows, options.plot)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few samples of few sizes, to see that it runs")
    parser.add_argument("--sims", type=int, help="samples per population and n (1,000)")
    parser.add_argument("--sizes", type=int, nargs="+", help="n to draw (250 1000 4000)")
    parser.add_argument("--metrics", nargs="+", default=[], choices=sorted(OFFERED), help="only these")
    parser.add_argument("--seed", type=int, default=0, help="of the samples (0)")
    parser.add_argument("--real", type=Path, help="an .npz of two models' logits to resample, in place of simulations")
    parser.add_argument("--out", type=Path, help="write all results there as JSON")
    parser.add_argument("--plot", type=Path, help="draw the coverage of upper limits there, PNG or SVG")
    return parser.parse_args()


def _pool(options: argparse.Namespace) -> int:
    return _QUICK_POOL if options.quick else POOL


def _populations(options: argparse.Namespace, plan: Plan) -> Iterator[Population]:
    """One after another, so that only one is held in memory."""
    if options.real:
        yield from load(options.real)
        return
    for seed, design in enumerate(DESIGNS):
        # A small one tells whether there is anything to study, at a thousandth of the cost.
        if plan.wanted(simulate(design, 1000, seed)):
            yield simulate(design, _pool(options), seed)


if __name__ == "__main__":
    main()
