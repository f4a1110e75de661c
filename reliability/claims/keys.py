"""The keys that a threshold file may have: what the reader accepts, and what its JSON Schema is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reliability.types import Relation

SCHEMA = 1
"""Version of the format."""

Kind = Literal["text", "texts", "flag", "number", "count", "level", "version", "scope", "table", "tables"]
"""How a value is read: by the method of ``toml_tables.Entry`` of that name, or by the reader itself."""
Names = Literal["", "metric", "score", "relation"]
"""Which list of names a text must be on; empty for none."""


@dataclass(frozen=True)
class Key:
    """One key of a table.

    Attributes:
        kind: What its value is.
        what: One sentence for whoever writes the file.
        required: Whether it must be there, whatever the other keys say.
        names: Which list its texts must be on.
        pattern: Regular expression that a text must match as a whole.
        distinct: Whether a list may hold nothing twice.
    """

    kind: Kind
    what: str
    required: bool = False
    names: Names = ""
    pattern: str = ""
    distinct: bool = False


Table = Mapping[str, Key]

GROUP_NAME = re.compile(r"[A-Za-z]\w*")
WITHOUT_MARGIN: tuple[Relation, ...] = ("improves", "worsens", "differs")
ON_CANDIDATE: tuple[Relation, ...] = ("at_least", "at_most")
"""Relations about the candidate's own value; their margin may be negative."""
DEFAULTED = ("level", "min_images")
"""Keys of a bound that may stand under [defaults] instead; of a floor the second alone."""

RELATIONS: Mapping[Relation, str] = {
    "not_worse": "the harm is at most the margin",
    "improves": "the candidate is better than the reference; no margin",
    "equivalent": "the harm lies within the margin, on both sides",
    "at_least": "the candidate's own value is at least the margin",
    "at_most": "the candidate's own value is at most the margin",
    "differs": "the candidate is not equal to the reference; no margin",
    "not_better": "the candidate is better by at most the margin",
    "worsens": "the candidate is worse than the reference; no margin",
}

FILE: Table = {
    "schema": Key("version", f"Version of this format: {SCHEMA}.", required=True),
    "include": Key("texts", "Threshold files whose entries come first; paths start in this file's folder."),
    "defaults": Key("table", "What bounds and floors have unless they say otherwise."),
    "run": Key("table", "What a full run covers; a file that others include needs none."),
    "proposed": Key("table", "What `reliability propose` measured margins on; a run on the same pictures says so."),
    "group": Key("tables", "Tasks of the same pictures, such as corruptions, that bounds judge together."),
    "floor": Key("tables", "What the reference itself must reach before anything is held against it."),
    "bound": Key("tables", "What one claim allows, where, and why."),
}
_LEVEL = Key("level", "Confidence of each one-sided limit, between 0.5 and 1.")
_MIN_IMAGES = Key("count", "Fewer pictures than this are no evidence: an error, not a verdict.")
DEFAULTS: Table = {"level": _LEVEL, "min_images": _MIN_IMAGES}
RUN: Table = {
    "recipes": Key("texts", "Recipes of a full run, by name (reliability list recipes).", required=True, distinct=True)
}
PROPOSED: Table = {
    "data": Key("text", "The data, as --data takes them.", required=True),
    "references": Key("texts", "The reference models.", required=True),
    "recipes": Key("texts", "The recipes.", required=True),
    "draws": Key("count", "Draws of range-setting pictures of each recipe.", required=True),
    "factor": Key("number", "What the largest limit of harm was multiplied by.", required=True),
    "limit": Key("count", "Pictures of each source, where not all were used."),
}
SCOPE: Table = {
    "model": Key("texts", "Globs on the reference's name, any of which may match."),
    "recipe": Key("texts", "Globs on the recipe's or candidate's name."),
    "task": Key("texts", "Globs on the task's name; * also matches /. Not together with group."),
    "group": Key("texts", "Globs on names of [[group]] tables. Not together with task."),
}
GROUP: Table = {
    "name": Key("text", "As bounds call it.", required=True, pattern=GROUP_NAME.pattern),
    "task": Key("texts", "Globs on the names of its tasks.", required=True),
    "clean": Key("text", "Name of the task that shows the pictures as they are."),
}
BOUND: Table = {
    "claim": Key("text", "Name of the claim, as its test has it: @claim(...).", required=True),
    "applies": Key("scope", "Which cases it covers; all where it is left out."),
    "metric": Key("texts", "What is measured; several are one bound for each.", True, "metric", distinct=True),
    "score": Key("texts", "Score of each picture, for metrics that need one.", names="score", distinct=True),
    "relation": Key("text", "How the figure is held against the margin.", True, "relation"),
    "margin": Key("number", "The harm allowed, or the candidate's limit, in the metric's own unit: 0.01 is 1 %."),
    "gate": Key("flag", "Whether it can fail a run; otherwise it is observed.", required=True),
    "reason": Key("text", "Why the margin is what it is.", required=True),
    "level": _LEVEL,
    "min_images": _MIN_IMAGES,
}
FLOOR: Table = {
    "model": Key("texts", "Globs on the reference's name, any of which may match.", required=True),
    "task": Key("text", "Name of the task that it is measured on.", required=True),
    "metric": Key("text", "What is measured.", True, "metric"),
    "score": Key("text", "Score of each picture, for metrics that need one.", names="score"),
    "at_least": Key("number", "The least that the reference must reach. One of at_least and at_most."),
    "at_most": Key("number", "The most that the reference may have. One of at_least and at_most."),
    "reason": Key("text", "Why the limit is what it is.", required=True),
    "min_images": _MIN_IMAGES,
}
