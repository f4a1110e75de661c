"""The same promises under a fuzzer that is led by the code it reaches: ``python coverage_guided.py TARGET [RUNS]``.

Needs ``atheris``. It starts from whole files, keeps changes that reach new code, and stops at the first
exception that is none of our own, with the input beside it.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["reliability"]):
    from reliability.claims.reader import load_thresholds
    from reliability.claims.runs import read_json
    from reliability.data.npy import ArrayImages
    from reliability.data.prompt_file import read_prompt_file
    from reliability.data.shards import Shards
    from reliability.quant.recipe import parse_recipe
    from reliability.quant.recipe_file import load_recipes
    from reliability.sweep.plan import load_plan

from making_input import survives, tar_of

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(tempfile.mkdtemp(prefix="fuzz-")) / "input"

Reader = Callable[[Path], object]


def _tar(path: Path) -> object:
    return Shards((path,), ("cat", "dog"), plain=True).members


def _numpy(path: Path) -> object:
    return ArrayImages(path, path, 2).index


def _name(path: Path) -> object:
    return parse_recipe(path.read_text(errors="replace"))


TARGETS: dict[str, tuple[Reader, bytes]] = {
    "thresholds": (load_thresholds, (ROOT / "thresholds" / "efficiency.toml").read_bytes()),
    "recipes": (load_recipes, b'[[recipe]]\nname = "mine"\nbase = "w8a8-minmax"\nrange_images = 9\n'),
    "recipe_name": (_name, b"w4a8_g64-smoothquant+mse-a0.5-both-s3"),
    "plan": (load_plan, sorted((ROOT / "plans").glob("*.toml"))[0].read_bytes()),
    "prompts": (read_prompt_file, b'classes = ["a", "b"]\ntemplates = ["a {c}"]\n'),
    "report": (read_json, json.dumps({"schema": 1, "complete": True, "run": {}, "notes": [], "problems": [],
                                      "cases": []}).encode()),
    "tar": (_tar, tar_of([("a.png", b"x", tarfile.REGTYPE), ("a.cls", b"0", tarfile.REGTYPE)])),
    "npy": (_numpy, b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n"),
}  # fmt: skip


def main() -> None:
    """Fuzz one target."""
    name, runs = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "20000"
    read, seed = TARGETS[name]
    corpus = FILE.parent / "corpus"
    corpus.mkdir()
    (corpus / "whole").write_bytes(seed)

    def once(data: bytes) -> None:
        FILE.write_bytes(data)
        survives(lambda: read(FILE))

    atheris.Setup([sys.argv[0], f"-runs={runs}", "-max_len=4096", "-rss_limit_mb=1500", str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
