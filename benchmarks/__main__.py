"""Print all measurements but the longest: ``python -m benchmarks``, or some: ``python -m benchmarks gate scale``."""

from __future__ import annotations

import argparse

from tabulate import tabulate

from benchmarks.backends import backend_rows
from benchmarks.corruptions import corruption_rows
from benchmarks.data import data_rows
from benchmarks.gate import gate_rows
from benchmarks.metrics import metric_rows
from benchmarks.parts import part_rows
from benchmarks.quantization import quantization_rows
from benchmarks.scale import scale_rows

SECTIONS = {
    "gate": gate_rows,
    "parts": part_rows,
    "metrics": metric_rows,
    "corruptions": corruption_rows,
    "data": data_rows,
    "quantization": quantization_rows,
    "backends": backend_rows,
    "scale": scale_rows,
}
ON_REQUEST = ("scale",)
"""Takes an hour where nothing is cached yet."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = [section for section in SECTIONS if section not in ON_REQUEST]
    known = f"among {', '.join(SECTIONS)}; when none is named, all but {', '.join(ON_REQUEST)}"
    parser.add_argument("sections", nargs="*", default=default, help=known)
    for section in parser.parse_args().sections:
        if section not in SECTIONS:
            parser.error(f"unknown section {section}; known: {', '.join(SECTIONS)}")
        print(tabulate(SECTIONS[section](), headers=["what", "measured", "target"], tablefmt="github"), flush=True)
        print()


if __name__ == "__main__":
    main()
