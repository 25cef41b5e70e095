"""In words for people: in which precision a model computes, and what the others would have changed and saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def precision_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the lines of a card's `precision`, as `domain.precision` writes it."""
    candidates = report["candidates"]
    lines = [f"Precision: {report['chosen']}. {report['reason']}"]
    if len(candidates) < 2:
        return lines + _shape_lines(report.get("shapes"))
    made_on = report.get("measured_on")
    machine = f"; times on {made_on['cores']} cores of {made_on['cpu']}" if made_on else ""
    lines.append(f"  on {candidates[0]['n_images']} val photos, with {report['thresholds']}{machine}")
    for found in candidates:
        lines += _candidate_lines(found, is_reference=found is candidates[0])
    return lines + _shape_lines(report.get("shapes"))


def _shape_lines(shapes: Mapping[str, Any] | None) -> list[str]:
    if not shapes:
        return []
    seen = f" ({shapes['n_images']} val photos)" if "n_images" in shapes else ""
    differences = [
        f"  {rule} {_figure(judged['difference'], '+.3f')} from the square, {_limit(judged)}"
        for rule, judged in shapes.get("differences", {}).items()
    ]
    return [f"Shapes of input: {', '.join(shapes['released'])}. {shapes['reason']}{seen}", *differences]


def _candidate_lines(found: Mapping[str, Any], is_reference: bool) -> list[str]:
    name = found["precision"]
    if found["ms_per_image"] is None:
        return [f"  {name}: not measured. {found['reason']}"]
    cost = f"{found['cpu_ms_per_image']:.1f} ms of processor time an image ({found['ms_per_image']:.1f} ms alone)"
    figures = f"mAP50 {_figure(found['map50'])}, recall {_figure(found['recall'])}, {cost}"
    none = _none_lines(found.get("none"))
    if is_reference:
        return [f"  {name}: {figures}", *none]
    verdict = "holds" if found["holds"] else f"does not hold. {found['reason']}"
    differences = [f"    {_difference(rule, judged)}" for rule, judged in found["differences"].items()]
    return [f"  {name}: {figures}; {verdict}", *differences, *none]


def _none_lines(none: Mapping[str, float] | None) -> list[str]:
    if not none:
        return []
    share = f"P(damage) {none['damage_probability']:.3f} on average where {none['damaged_share']:.3f} of photos are"
    return [f"    {share} damaged, log loss {none['log_loss']:.3f}, largest change {none['largest_change']:.3f}"]


def _difference(rule: str, judged: Mapping[str, Any]) -> str:
    return f"{rule} {_figure(judged['difference'], '+.3f')} from f32, {_limit(judged)}"


def _limit(judged: Mapping[str, Any]) -> str:
    above = _figure(judged["must_be_above"], "+.3f")
    return f"lower limit {_figure(judged['lower_limit'], '+.3f')} (must lie above {above})"


def _figure(value: float | None, form: str = ".3f") -> str:
    return "unknown" if value is None else format(value, form)
