"""Make, start, stop and look at the platform."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError
from damageloop.services.models.champion_release import release_problem
from damageloop.settings import Settings

if TYPE_CHECKING:
    from damageloop.bootstrap.core import Core
    from damageloop.services.integrity.verify import Invariant

GENUINE_BASE = "yolo11n.pt"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(doctor)
    app.command()(verify)


def init(
    params: Annotated[Path | None, typer.Option(help="First parameters, instead of the product's own.")] = None,
    download_weights: Annotated[
        bool, typer.Option("--download-weights", help=f"Fetch {GENUINE_BASE} from its makers into the weights folder.")
    ] = False,
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="Leave the services running that were started for this.")
    ] = False,
) -> None:
    """Make a platform in DAMAGELOOP_HOME; doing it again changes nothing."""
    from damageloop.bootstrap.cli import make_supervisor
    from damageloop.bootstrap.initialise import initialise

    settings = Settings()
    if download_weights:
        _download(settings)
    # A platform that people work on is left as it was.
    ran_before = {state.name for state in make_supervisor(say, settings).states() if state.pid is not None}
    try:
        initialise(settings, params, say)
    finally:
        if not keep_running:
            _stop_all_but(settings, ran_before)
    say(f"Done. `damageloop up` starts the platform in {settings.root}.")


OnlyOption = Annotated[list[str] | None, typer.Option("--only", help="Just this program; may be given more than once.")]


def up(only: OnlyOption = None) -> None:
    """Start the platform, made first where it is missing; prints addresses and where the secrets are."""
    from damageloop.bootstrap.cli import make_supervisor
    from damageloop.bootstrap.initialise import initialise, is_initialised, reconnect, refresh

    settings = Settings()
    if not is_initialised(settings):
        initialise(settings, None, say)
    refresh(settings, say)
    make_supervisor(say, settings).start(only)
    try:
        if not only:
            reconnect(settings)
    finally:
        _say_addresses(settings)


def down(only: OnlyOption = None) -> None:
    """Stop every process of the platform; nothing is lost."""
    from damageloop.bootstrap.cli import make_supervisor

    supervisor = make_supervisor(say)
    if only:
        supervisor.stop_some(only)
    else:
        supervisor.stop()


def status(as_json: JsonOption = False) -> None:
    """Say what runs, which model is champion, and what the loop waits for."""
    found = _status()
    if as_json:
        print_json(found)
        return
    rows = [(p["name"], p["pid"] or "-", p["address"] or "") for p in found["processes"]]
    print_table("Processes", ("name", "pid", "address"), rows)
    champion = found["champion"]
    say(f"Champion: version {champion['version']}" if champion else "Champion: none yet")
    if found["degraded"]:
        say(f"DEGRADED: {found['degraded']}")
    say("Counts: " + ", ".join(f"{count} {name}" for name, count in found["counts"].items()))
    for line in found["waiting_for"]:
        say(f"Waiting for {line}" if ": " in line else f"Waiting for: {line}")
    for sentence in found["estimates"]["sentences"]:
        say(sentence)


def doctor(
    training: Annotated[
        bool, typer.Option("--training", help="Only whether memory, disk and open files will do for a training.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check connections, settings and versions; exit 1 when one fails, with what mends it."""
    from damageloop.bootstrap.doctor import examine, examine_training

    checks = [asdict(check) for check in (examine_training if training else examine)(Settings())]
    if as_json:
        print_json({"checks": checks})
    else:
        rows = [(c["name"], "ok" if c["ok"] else "FAILS", c["detail"], c["mend"] or "") for c in checks]
        print_table("Doctor", ("check", "", "detail", "what mends it"), rows)
    if not all(check["ok"] for check in checks):
        raise typer.Exit(1)


def verify(as_json: JsonOption = False) -> None:
    """Check the platform's invariants on what is really there; exit 1 when one is broken.

    What looks broken is looked at again, three times within half a minute: it may only be under way.
    """
    from damageloop.bootstrap.cli import make_core
    from damageloop.services.integrity.verify import Verify

    core = make_core()
    stores = (core.images, core.features, core.releases, core.snapshots, core.registry)
    found = Verify(core.units, *stores, core.tool, core.params, core.clock)()
    if as_json:
        print_json({"invariants": [_invariant_json(invariant) for invariant in found]})
    else:
        for invariant in found:
            settled = f" ({invariant.n_settled} were only under way)" if invariant.n_settled else ""
            say(f"{'ok   ' if invariant.is_ok else 'BROKEN'} {invariant.name}{settled}")
            for violation in invariant.violations:
                say(f"       {violation}")
    if not all(invariant.is_ok for invariant in found):
        raise typer.Exit(1)


def _invariant_json(invariant: Invariant) -> dict[str, Any]:
    return {
        "name": invariant.name,
        "ok": invariant.is_ok,
        "violations": list(invariant.violations),
        "settled": invariant.n_settled,
    }


def _say_addresses(settings: Settings) -> None:
    from damageloop.bootstrap.processes import LABEL_STUDIO_PASSWORD, LABEL_STUDIO_USER

    say("")
    say(f"Label Studio  {settings.label_studio_for_people}  user {LABEL_STUDIO_USER}")
    say(f"              password in {settings.secrets_dir / LABEL_STUDIO_PASSWORD}")
    say(f"API           {settings.api_url}/v1  key in {settings.secrets_dir / 'admin-api-key'}")
    say(f"Console       {settings.console_url}  log in with a key, such as the API's")
    say(f"MLflow        {settings.mlflow}")
    say("`damageloop status` says what the loop waits for; `damageloop down` stops everything.")
    if not _n_images():
        say("There are no photos yet: `damageloop import FOLDER` brings some in.")


def _n_images() -> int:
    from damageloop.bootstrap.cli import make_core

    with make_core().units(read_only=True) as work:
        return work.images.count()


def _status() -> dict[str, Any]:
    from damageloop.bootstrap.cli import make_core, make_supervisor
    from damageloop.bootstrap.worker import Worker

    core = make_core()
    states = make_supervisor(say).states()
    plan = Worker(core).plan()
    with core.units(read_only=True) as work:
        champion = work.models.champion()
        model = work.models.get(champion.model_version) if champion else None
        degraded = release_problem(work, core.releases)
        counts = {
            "images": work.images.count(),
            **{f"{split} images": count for split, count in work.images.counts_by_split().items()},
            "quarantined": len(work.images.quarantined()),
            "annotated": work.annotations.n_images(),
            "rounds": len(work.rounds.all()),
            "snapshots": len(work.snapshots.all()),
            "models": len(work.models.all()),
        }
    return {
        "processes": [{"name": s.name, "pid": s.pid, "address": s.address} for s in states],
        "champion": {"version": str(model.version), "snapshot": model.snapshot_id} if model else None,
        "counts": counts,
        "waiting_for": [*([job.key for job in plan.jobs]), *plan.waiting_for],
        "degraded": degraded,
        "estimates": _estimates(core),
    }


def _estimates(core: Core) -> dict[str, Any]:
    from damageloop.bootstrap.estimates import make_estimates
    from damageloop.cli.estimates import estimates_json

    estimates = make_estimates(core.units, core.releases, core.params)
    try:
        return estimates_json(estimates.kpis(), estimates.advise_stopping())
    except (NotFoundError, ConflictError) as exc:
        # Without the champion's whole release there is no working threshold; the rest of the status still holds.
        return {"sentences": [f"Estimates: {exc}"]}


def _stop_all_but(settings: Settings, names: Set[str]) -> None:
    from damageloop.bootstrap.cli import make_supervisor

    supervisor = make_supervisor(say, settings)
    if not supervisor.is_running():
        return
    if not names:
        supervisor.stop()
        return
    started = [s.name for s in supervisor.states() if s.pid is not None and s.name not in names]
    if started:
        supervisor.stop_some(started)


def _download(settings: Settings) -> None:
    from damageloop.adapters.weights_download import download_weights

    if settings.weights_dir is None:
        raise InvalidInputError("DAMAGELOOP_WEIGHTS_DIR says where weights shall go; set it first.")
    say(f"weights       {download_weights(GENUINE_BASE, settings.weights_dir)}")
