"""Tables, a JSON file and a picture of what a study found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.coverage.methods import RECOMMENDED
from benchmarks.coverage.study import CLUSTERED

Row = dict[str, Any]
WANTED = (0.94, 0.97)
# Safe for the common kinds of colour blindness, and told apart by marker as well; "" is the recommended one.
_STYLES = {
    "percentile": ("#0077BB", "o"),
    "basic": ("#EE7733", "s"),
    "bca": ("#009988", "^"),
    "student": ("#CC3311", "D"),
    "": ("#000000", "*"),
}
_PANELS = 4
# Lower coverage is drawn at the bottom edge of a panel, in %.
_FLOOR = 79.0


def recommended(row: Row) -> bool:
    """Whether a row is of the method its metric should be judged by."""
    return bool(row["method"] == RECOMMENDED[_metric(row)]) and CLUSTERED not in row["metric"]


def _metric(row: Row) -> str:
    return str(row["metric"]).partition(" ")[0]


def summary_table(rows: Sequence[Row]) -> str:
    """One line per metric, n and method: the range of coverage over populations, worst pass rate."""
    lines = []
    for metric in _unique(row["metric"] for row in rows):
        for n in _unique(row["n"] for row in rows):
            for method in _unique(row["method"] for row in rows if row["metric"] == metric):
                chosen = [r for r in rows if (r["metric"], r["n"], r["method"]) == (metric, n, method)]
                if chosen:
                    lines.append(_summary_line(chosen))
    headers = ["metric", "n", "method", "lower covers %", "upper covers %", "passes at the margin %", "no limits %"]
    return tabulate(lines, headers=headers, tablefmt="github", disable_numparse=True)


def _summary_line(rows: Sequence[Row]) -> list[str]:
    first = rows[0]
    name = f"**{first['method']}**" if recommended(first) else first["method"]
    undefined = max(row["undefined"] / row["trials"] for row in rows)
    ranges = [_range([row[side] for row in rows]) for side in ("lower", "upper")]
    return [
        first["metric"], f"{first['n']:,}", name, *ranges,
        f"{100 * max(row['passes'] for row in rows):.1f}", f"{100 * undefined:.1f}" if undefined else "",
    ]  # fmt: skip


def _range(shares: Sequence[float]) -> str:
    low, high = f"{100 * min(shares):.1f}", f"{100 * max(shares):.1f}"
    return low if low == high else f"{low} to {high}"


def population_table(rows: Sequence[Row], metric: str) -> str:
    """Lower and upper coverage of each population, n and method of one metric."""
    mine = [row for row in rows if row["metric"] == metric]
    methods = _unique(row["method"] for row in mine)
    cells = {(row["population"], row["n"], row["method"]): row for row in mine}
    lines = [
        [population, f"{n:,}", *(_cell(cells.get((population, n, method))) for method in methods)]
        for population in _unique(row["population"] for row in mine)
        for n in _unique(row["n"] for row in mine)
    ]
    headers = [f"{metric}: population", "n", *methods]
    return tabulate(lines, headers=headers, tablefmt="github", disable_numparse=True)


def _cell(row: Row | None) -> str:
    return "" if row is None else f"{100 * row['lower']:.1f} / {100 * row['upper']:.1f}"


def write_json(rows: Sequence[Row], settings: Row, path: Path) -> None:
    """Settings and all rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"settings": settings, "rows": list(rows)}, indent=1) + "\n")


def draw(rows: Sequence[Row], path: Path) -> None:
    """Coverage of the upper limit against n: a panel per metric, a dot per population, a line through the worst."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    metrics = [metric for metric in _unique(row["metric"] for row in rows) if CLUSTERED not in metric]
    lines = -(-len(metrics) // _PANELS)
    figure, axes = pyplot.subplots(lines, _PANELS, figsize=(11, 0.8 + 2.5 * lines), sharey=True, squeeze=False)
    for axis, metric in zip(axes.flat, metrics, strict=False):
        _panel(axis, [row for row in rows if row["metric"] == metric], metric)
    for axis in axes.flat[len(metrics) :]:
        axis.set_visible(False)
    shown = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(shown.values(), shown.keys(), loc="lower center", ncols=len(shown), frameon=False, fontsize=9)
    figure.supylabel("samples whose upper 95 % limit covers the truth, %", fontsize=10)
    figure.tight_layout(rect=(0, 0.8 / (0.8 + 2.5 * lines) / 2, 1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panel(axis: Any, rows: Sequence[Row], metric: str) -> None:
    sizes = _unique(row["n"] for row in rows)
    axis.axhspan(100 * WANTED[0], 100 * WANTED[1], color="0.9", zorder=0)
    methods = [method for method in _STYLES if any(row["method"] == method for row in rows)]
    chosen = RECOMMENDED[_metric(rows[0])]
    for place, method in enumerate([*methods, chosen]):
        best = place == len(methods)
        colour, marker = _STYLES[""] if best else _STYLES[method]
        mine = [row for row in rows if row["method"] == method]
        shift = 0.88 + 0.28 * place / max(len(methods), 1)
        shown = [(shift * row["n"], max(100 * row["upper"], _FLOOR)) for row in mine]
        axis.plot(*zip(*shown, strict=True), linestyle="none", markersize=4, color=colour, marker=marker)
        worst = [max(100 * min(row["upper"] for row in mine if row["n"] == n), _FLOOR) for n in sizes]
        label = "recommended, named above each panel" if best else method
        axis.plot([shift * n for n in sizes], worst, linewidth=2.4 if best else 0.9, color=colour, label=label)
    axis.set(xscale="log", ylim=(_FLOOR - 1, 100.7), xticks=sizes)
    axis.set_xticklabels([f"{n:,}" for n in sizes])
    axis.minorticks_off()
    axis.set_title(f"{metric}: {chosen}", fontsize=10)


def _unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
