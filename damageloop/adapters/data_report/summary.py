"""Evidently's summary of a table, as plain rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataSummaryPreset

# As Evidently names what it measures of one column: MeanValue(column=brightness), QuantileValue(column=…,quantile=0.5).
_METRIC = re.compile(r"(?P<name>\w+)\(column=(?P<column>\w+)(?:,\s*quantile=(?P<quantile>[\d.]+))?\)")
_COLUMNS = {"MinValue": "lowest", "MeanValue": "mean", "MaxValue": "highest", "StdValue": "standard deviation"}


def summarize(rows: Sequence[Mapping[str, Any]], numbers: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each numeric column what Evidently measures of it: lowest, quartiles, mean, highest, missing."""
    frame = pd.DataFrame(list(rows), columns=[*numbers, *names])
    definition = DataDefinition(numerical_columns=list(numbers), categorical_columns=list(names))
    found = Report([DataSummaryPreset()]).run(Dataset.from_pandas(frame, data_definition=definition), None)
    measured: dict[str, dict[str, Any]] = {name: {} for name in numbers}
    for metric in found.dict()["metrics"]:
        matched = _METRIC.fullmatch(metric["metric_name"])
        if matched and matched["column"] in measured:
            label = f"{float(matched['quantile']):.0%}" if matched["quantile"] else _COLUMNS.get(matched["name"])
            if label:
                measured[matched["column"]][label] = float(metric["value"])
    return [{"column": name, **values} for name, values in measured.items()]
