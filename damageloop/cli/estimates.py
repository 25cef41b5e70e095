"""What `damageloop status` says of labeling: what it costs, what the pool is like, whether it still pays."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from active_learning.estimation import Estimate
from damageloop.services.insight.advise_stopping import StoppingReport
from damageloop.services.insight.kpis import KpiReport


def estimates_json(kpis: KpiReport, stopping: StoppingReport) -> dict[str, Any]:
    """Return sentences for people and the same figures for scripts."""
    return {
        "sentences": sentences(kpis, stopping),
        "damaged_share": asdict(kpis.pool.damaged),
        "accepted_pre_labels": asdict(kpis.pool.pre_labels.accepted),
        "recall": asdict(stopping.recall),
        "seconds_per_image": {
            "with_pre_labels": asdict(kpis.times.with_pre_labels),
            "without_pre_labels": asdict(kpis.times.without_pre_labels),
        },
        "saved_seconds_per_image": asdict(kpis.times.saved_per_image) if kpis.times.saved_per_image else None,
        "advice": stopping.advice.value,
        "reasons": list(stopping.reasons),
    }


def sentences(kpis: KpiReport, stopping: StoppingReport) -> list[str]:
    """Return at most three plain sentences; without a review the last one alone."""
    found = []
    if kpis.pool.damaged.value is not None:
        found.append(
            f"Estimates: {_percent(kpis.pool.damaged)} of the photos are damaged, and the champion finds "
            f"{_percent(stopping.recall)} of the damages."
        )
    if kpis.times.n_reviews:
        found.append(_times(kpis))
    return [*found, f"Stopping: {stopping.sentence} {' '.join(stopping.reasons)}"]


def _times(kpis: KpiReport) -> str:
    times = kpis.times
    text = f"Review: {_seconds(times.with_pre_labels)} a photo with pre-labels, {_seconds(times.without_pre_labels)} "
    text += "without (other photos)"
    if times.saved_per_image is None:
        return f"{text}."
    saved = times.saved_per_image
    if saved.low == saved.high == 0.0:
        return f"{text}; no pre-label was confident enough to be shown."
    text += f"; on the same photos they save {saved.seconds:.1f} s ({saved.low:.1f} to {saved.high:.1f})."
    if saved.high < 0.0:
        text += " They cost time: raise annotation.display_threshold, so that fewer false ones are shown."
    return text


def _percent(estimate: Estimate) -> str:
    if estimate.value is None:
        return "an unknown share"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.0%}"
    return f"{estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%})"


def _seconds(estimate: Estimate) -> str:
    return "no time yet" if estimate.value is None else f"{estimate.value:.1f} s"
