"""Print all measurements: ``python -m benchmarks``, or some: ``python -m benchmarks gate``."""

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

SECTIONS = {
    "gate": gate_rows,
    "parts": part_rows,
    "metrics": metric_rows,
    "corruptions": corruption_rows,
    "data": data_rows,
    "quantization": quantization_rows,
    "backends": backend_rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", default=list(SECTIONS), help=f"among {', '.join(SECTIONS)}")
    for section in parser.parse_args().sections:
        if section not in SECTIONS:
            parser.error(f"unknown section {section}; known: {', '.join(SECTIONS)}")
        print(tabulate(SECTIONS[section](), headers=["what", "measured", "target"], tablefmt="github"), flush=True)
        print()


if __name__ == "__main__":
    main()
