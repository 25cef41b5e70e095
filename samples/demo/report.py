"""What happened, as one table and as the result file."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from samples.demo.home import DemoHome


def result_of(home: DemoHome) -> dict[str, Any]:
    """Return the content of result.json."""
    notes = home.notes
    work = notes.get("work", {})
    return {
        "source": home.source.words(),
        "images": notes["images"],
        "quarantined": notes["quarantined"],
        "rounds": notes["rounds"],
        "reviewed": sum(report["tasks"] + report["skipped"] for report in work.values()),
        "simulated_minutes": round(sum(report["seconds"] for report in work.values()) / 60, 1),
        "work": work,
        "snapshots": notes["snapshots"],
        "decisions": [
            {key: d[key] for key in ("champion", "challenger", "decision", "reasons")} for d in notes["decisions"]
        ],
        "per_class": (notes["decisions"][0].get("evidence") or {}).get("per_class", {}),
        "next_round": notes.get("next_round"),
        "prediction": notes["prediction"],
        "step_seconds": home.step_seconds,
    }


def print_result(result: dict[str, Any], addresses: dict[str, str]) -> None:
    """Print the table."""
    table = Table(title="One loop of damageloop", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _rows(result):
        table.add_row(name, value)
    for name, address in addresses.items():
        table.add_row(name, address)
    Console().print(table)


def _rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    decision = result["decisions"][0]
    snapshot = result["snapshots"][0]
    rounds = ", ".join(f"{r['kind']} ({r['items']} photos, {r['strategy']})" for r in result["rounds"])
    rows = [
        ("photos", f"{result['images']} from {result['source']}"),
        ("set aside", ", ".join(f"{q['file']} ({q['code']})" for q in result["quarantined"]) or "none"),
        ("rounds", rounds),
        ("reviewed", f"{result['reviewed']} photos, {result['simulated_minutes']} simulated minutes"),
        ("snapshot", f"{snapshot['git_tag']}: {_counts(snapshot['counts'])}"),
        (
            "decision",
            f"{decision['decision']} (challenger {decision['challenger']}, champion {decision['champion'] or '-'})",
        ),
    ]
    rows += [("", reason) for reason in decision["reasons"]]
    rows += _class_rows(result["per_class"])
    if result["next_round"]:
        rows.append(("next round", f"round {result['next_round']} waits in Label Studio"))
    rows += [("prediction", _prediction(result["prediction"]))]
    minutes = sum(result["step_seconds"].values()) / 60
    return [
        *rows,
        ("took", f"{minutes:.1f} minutes: " + ", ".join(f"{n} {s:.0f} s" for n, s in result["step_seconds"].items())),
    ]


def _counts(counts: dict[str, Any]) -> str:
    return ", ".join(f"{split} {part['images']} ({part['clean']} clean)" for split, part in counts.items())


def _class_rows(per_class: dict[str, Any]) -> list[tuple[str, str]]:
    new, old = per_class.get("challenger") or {}, per_class.get("champion") or {}
    return [(f"  {name}", _class_words(figures, old.get(name) or {})) for name, figures in new.items()]


def _class_words(new: dict[str, Any], old: dict[str, Any]) -> str:
    parts = (("AP50", "ap50"), ("recall", "recall"))
    return ", ".join(f"{word} {_figure(new[key])} (champion {_figure(old.get(key))})" for word, key in parts)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _prediction(prediction: dict[str, Any]) -> str:
    if "error" in prediction:
        return f"{prediction['photo']}: {prediction['error']}"
    answer = prediction["answer"]
    found = ", ".join(f"{d['damage_class']} {d['confidence']:.2f}" for d in answer["images"][0]["detections"])
    outcome = "None" if answer["outcome"] == "none" else answer["outcome"]
    return f"{prediction['photo']} by version {answer['model_version']}: {outcome}{': ' + found if found else ''}"
