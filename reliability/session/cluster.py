"""Fill the cache through a Ray cluster, so that a run has nothing left to compute but verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reliability.claims.cases import Case
from reliability.evaluate.filling.fill import meet, outstanding
from reliability.evaluate.filling.workers.ray_cluster import RayWorkers
from reliability.session.gate import GateSession
from reliability.session.needs import needs_of
from reliability.session.opening import site_of


def fill_through_ray(session: GateSession, cases: Iterable[Case], tell: Callable[[str], None]) -> None:
    """Have in the cache what some cases read: one task for each model, recipe, and source or prompt set.

    Args:
        session: Of a run that asks for the engine ``ray``.
        cases: That will be judged.
        tell: Shows a line.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: There is no cluster at the address, or no such share of a GPU.

    Conventions:
        What cannot be had is left to the cases that read it, which say why.
    """
    options = session.options
    workers, site = RayWorkers(options.ray_address, options.gpus, options.threads), site_of(options)
    waves = outstanding(site, needs_of(session, cases))
    total = sum(map(len, waves))
    tell(f"ray: {total} of the entries that this run reads are not cached" if total else "ray: everything is cached")
    faults = [fault for _, fault in meet(site, waves, workers) if fault is not None]
    if total:
        tell(f"ray: {total - len(faults)} entries made" + (f", {len(faults)} cannot be had" if faults else ""))
