"""Post-hoc scores of zero-shot models: one number per image, higher = more in-distribution.

A score is a function above which stands ``@score`` or ``@fitted_score``; every
module of this package is imported here, so that none is missing from :data:`SCORES`.

    get_score("mcm").fn(cosines, logit_scale)
    get_score("gl_mcm").fn(cosines, logit_scale, patch_cosines=patches)
    fn = get_score("knn").fit(Training.of(embeddings_of_familiar_images))
    fn(Evidence.of(embeddings))
"""

import importlib
import pkgutil

from reliability.metrics.scores.evidence import EMBEDDED, Evidence, Training
from reliability.metrics.scores.registry import SCORES, Score, all_scores, fitted_score, get_score, score

__all__ = ["EMBEDDED", "SCORES", "Evidence", "Score", "Training", "all_scores", "fitted_score", "get_score", "score"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
