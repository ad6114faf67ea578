"""Telling two samples apart: the classifier two-sample test and the proxy A-distance.

Ben-David et al. ("A theory of learning from different domains", 2010) bound the error on a target by that on
the source and a distance of the domains, which the error of a classifier between them stands in for:
``2 (1 - 2 error)``, zero where it can only guess and two where it is always right. Lopez-Paz and Oquab
("Revisiting classifier two-sample tests", ICLR 2017) make a test of the same classifier.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from poseshift.storage.model import FrozenModel

_FOLDS = 3


class TwoSample(FrozenModel):
    """How well a classifier tells two samples of equal size apart."""

    error: float = Field(description="Share of held-out rows that are attributed to the wrong sample.")
    proxy_a_distance: float = Field(description="2 (1 - 2 error), and zero where the error is above a half.")
    p_value: float = Field(
        description="Chance of so few errors by guessing; too small where rows resemble each other."
    )
    rows: int = Field(description="Rows classified, both samples together.")


def two_sample(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    first_groups: NDArray[np.integer],
    second_groups: NDArray[np.integer],
    seed: int,
) -> TwoSample:
    """Train gradient-boosted trees between two samples and count the errors on rows that they did not see.

    Rows of one group (frames of one sequence) are never on both sides of the split, otherwise near repeats
    would be recognised by memory. The larger sample is thinned to the size of the smaller.

    Parameters
    ----------
    first, second : array
        (n, features) and (m, features), finite.
    first_groups, second_groups : array
        (n,), (m,), the group of each row, counted apart in each sample; at least three groups in each.
    seed : int
        Seed of the thinning, the split and the trees.

    Raises
    ------
    ValueError
        When a sample has fewer than three groups.
    """
    for name, groups in (("first", first_groups), ("second", second_groups)):
        found = len(np.unique(groups))
        if found < _FOLDS:
            raise ValueError(
                f"the {name} sample has {found} groups; {_FOLDS} are needed to hold whole groups out, so "
                "select more sequences"
            )
    # Slow to import, and needed for this comparison only.
    from scipy.stats import binom
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    rng = np.random.default_rng(seed)
    count = min(len(first), len(second))
    rows = [rng.permutation(len(sample))[:count] for sample in (first, second)]
    features = np.concatenate([first[rows[0]], second[rows[1]]])
    sample = np.repeat([0, 1], count)
    groups = np.concatenate([2 * first_groups[rows[0]], 2 * second_groups[rows[1]] + 1])
    wrong = np.zeros(2 * count, dtype=bool)
    split = StratifiedGroupKFold(n_splits=_FOLDS, shuffle=True, random_state=seed)
    for train, test in split.split(features, sample, groups):
        classifier = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=seed)
        classifier.fit(features[train], sample[train])
        wrong[test] = classifier.predict(features[test]) != sample[test]
    error = float(wrong.mean())
    return TwoSample(
        error=error,
        proxy_a_distance=max(0.0, 2 * (1 - 2 * error)),
        p_value=float(binom.cdf(int(wrong.sum()), len(wrong), 0.5)),
        rows=len(wrong),
    )
