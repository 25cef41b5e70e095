"""Compares samples of photos by Evidently: how much each column differs, and how probable that is by chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Any

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift
from evidently.metrics.embeddings import EmbeddingsDrift, ModelDriftMethod
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from damageloop.domain.drift.columns import EMBEDDING, OUTCOME, ColumnKind, Comparison, Sample

# Of a column that fewer photos have nothing is said.
MIN_VALUES = 30
MIN_DEVIATION = 1e-3
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EvidentlyComparison:
    """Implements `DriftComparison`.

    Numbers are compared by the test of Kolmogorov and Smirnov [massey1951kolmogorov] and by Wasserstein's distance,
    categories by chi-square and the distance of Jensen and Shannon [lin1991divergence], embeddings by a classifier
    [lopezpaz2017revisiting] on half of the photos, judged on the other.
    """

    def __call__(self, reference: Sample, window: Sample) -> tuple[Comparison, ...]:
        """Return one comparison for each column of which both have at least 30 values."""
        numeric = {
            name: (_known(reference.numeric[name]), _known(window.numeric[name]))
            for name in reference.numeric
            if name in window.numeric
        }
        found = [self._numbers(name, *values) for name, values in numeric.items() if _are_enough(*values)]
        if _are_enough(reference.outcomes, window.outcomes):
            found.append(self._categories(OUTCOME, reference.outcomes, window.outcomes))
        if _are_enough(reference.embeddings, window.embeddings) and _have_one_width(reference, window):
            found.append(self._embeddings(reference.embeddings, window.embeddings))
        return tuple(found)

    def _numbers(self, name: str, reference: Numbers, window: Numbers) -> Comparison:
        low, high = np.quantile(reference, [0.01, 0.99])
        told = {
            **_mean_of(window),
            "below_p01": float(np.mean(window < low)),
            "above_p99": float(np.mean(window > high)),
        }
        before = {**_mean_of(reference), "p01": float(low), "p99": float(high)}
        if np.ptp(np.concatenate([reference, window])) == 0.0:
            return Comparison(name, ColumnKind.NUMERIC, 0.0, 1.0, before, told)
        p_value = _measured(name, "ks", reference, window, is_number=True)
        effect = _measured(name, "wasserstein", reference, window, is_number=True)
        return Comparison(name, ColumnKind.NUMERIC, effect, p_value, before, told)

    def _categories(self, name: str, reference: Sequence[str], window: Sequence[str]) -> Comparison:
        before, after = _shares(reference), _shares(window)
        if before.keys() == after.keys() and len(before) == 1:
            return Comparison(name, ColumnKind.CATEGORICAL, 0.0, 1.0, before, after)
        # Evidently's own takes the reference for the truth, and a category that it lacks for impossible.
        p_value = _chance_of_shares(reference, window)
        effect = _measured(name, "jensenshannon", reference, window, is_number=False)
        return Comparison(name, ColumnKind.CATEGORICAL, effect, p_value, before, after)

    def _embeddings(self, reference: NDArray[np.float32], window: NDArray[np.float32]) -> Comparison:
        # A stochastic gradient wants features of one scale.
        mean, deviation = reference.mean(axis=0), np.maximum(reference.std(axis=0), MIN_DEVIATION)
        columns = [f"embedding_{number}" for number in range(reference.shape[1])]
        definition = DataDefinition(numerical_columns=columns, embeddings={EMBEDDING: columns})
        before, after = (
            Dataset.from_pandas(pd.DataFrame((rows - mean) / deviation, columns=columns), data_definition=definition)
            for rows in (reference, window)
        )
        metric = EmbeddingsDrift(embeddings_name=EMBEDDING, drift_method=ModelDriftMethod())
        area = _value(Report([metric]).run(after, before))
        p_value = _chance_of_area(area, len(reference) / 2.0, len(window) / 2.0)
        return Comparison(EMBEDDING, ColumnKind.EMBEDDING, area, p_value)


def _measured(name: str, method: str, reference: Sequence[Any] | Numbers, window: Any, is_number: bool) -> float:
    kind = "numerical_columns" if is_number else "categorical_columns"
    definition = DataDefinition(**{kind: ["value"]})
    before, after = (
        Dataset.from_pandas(pd.DataFrame({"value": values}), data_definition=definition)
        for values in (reference, window)
    )
    found = _value(Report([ValueDrift(column="value", method=method)]).run(after, before))
    if not np.isfinite(found):
        raise ValueError(f"Evidently's {method} of {name} is not finite.")
    return found


def _value(run: Any) -> float:
    (metric,) = run.dict()["metrics"]
    return float(metric["value"])


def _chance_of_shares(reference: Sequence[str], window: Sequence[str]) -> float:
    """Return the probability of shares so different where two samples are of one kind [pearson1900criterion]."""
    before, after = Counter(reference), Counter(window)
    names = sorted({*before, *after})
    table = [[counts[name] for name in names] for counts in (before, after)]
    return float(chi2_contingency(table).pvalue)


def _chance_of_area(area: float, n_reference: float, n_window: float) -> float:
    """Return the probability of an area as large as this or larger where two samples are of one kind.

    The area is the statistic of Mann and Whitney [mann1947test] over the number of pairs: of mean 1/2 and variance
    (m + n + 1) / (12 m n). With 50 photos each, 0.6 has 0.0424.
    """
    deviation = sqrt((n_reference + n_window + 1.0) / (12.0 * n_reference * n_window))
    return 0.5 * erfc((area - 0.5) / deviation / sqrt(2.0))


def _known(values: Numbers) -> Numbers:
    return values[np.isfinite(values)]


def _are_enough(*samples: Any) -> bool:
    return all(len(sample) >= MIN_VALUES for sample in samples)


def _have_one_width(reference: Sample, window: Sample) -> bool:
    return bool(reference.embeddings.shape[1] == window.embeddings.shape[1])


def _mean_of(values: Numbers) -> dict[str, float]:
    return {"mean": float(values.mean())}


def _shares(values: Sequence[str]) -> Mapping[str, float]:
    counts = Counter(values)
    return {name: counts[name] / len(values) for name in sorted(counts)}
