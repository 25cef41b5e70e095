"""One run: a platform is made ready, people work, faults strike, rest, and what must hold is looked at."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from damageloop.adapters.provenance import code_revision
from damageloop.bootstrap.initialise import webhook_url
from damageloop.errors import DamageloopError
from samples.demo.steps import photos_of
from tests.chaos.afterwards import CHECKS, all_jobs, wait_until_quiet
from tests.chaos.faults import Striker
from tests.chaos.load import Load, Written
from tests.chaos.schedule import Setup, schedule
from tests.chaos.servers import Servers
from tests.chaos.world import World

LOG_LINES = 25
# People go home before the last faults, which strike while the platform works off what they left.
LAST_ALONE = 5
COME_BACK_S = 90.0
# A disk in memory that is filled: large enough for what so many loops leave, and no larger.
DISK_MIB = 1024
DISK_MIB_PER_FAULT = 12
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        home: Of a finished small demo, copied; None makes one first.
        json_file: Where the results go; None: nowhere.
        quiet_s: How long the platform may take to come to rest after the last fault.
    """

    seed: int
    n_faults: int
    setup: Setup
    home: Path | None
    json_file: Path | None
    quiet_s: float
    keep: bool


@dataclass(slots=True)
class Outcome:
    """What happened; `checks` has the violations by the name of the check."""

    plan: dict[str, Any]
    commit: str
    began_at: str
    faults: list[dict[str, Any]] = field(default_factory=list)
    checks: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        return bool(self.checks) and not any(self.checks.values())


def run(plan: Plan, folder: Path, say: Say) -> bool:
    """Run the plan in `folder`; return whether everything held."""
    words = {"seed": plan.seed, "faults": plan.n_faults, "setup": plan.setup.value}
    outcome = Outcome(words, code_revision(), datetime.now(UTC).isoformat(timespec="seconds"))
    servers = Servers(plan.setup, folder)
    world = World(folder, servers.environment, say)
    try:
        _run(plan, world, servers, outcome, say)
    except (Exception, KeyboardInterrupt) as exc:
        outcome.checks["the run itself"] = [f"{type(exc).__name__}: {exc}"]
        if not isinstance(exc, AssertionError | DamageloopError):
            raise
    finally:
        _end(world, servers, outcome)
        _tell(outcome, world, say)
        if not outcome.is_sound or plan.keep:
            _keep(world, folder)
        world.unmount()
        if plan.json_file:
            plan.json_file.write_text(json.dumps({**asdict(outcome), "ok": outcome.is_sound}, indent=1) + "\n")
    return outcome.is_sound


def _run(plan: Plan, world: World, servers: Servers, outcome: Outcome, say: Say) -> None:
    started = time.monotonic()
    world.mount(DISK_MIB + DISK_MIB_PER_FAULT * plan.n_faults)
    if plan.home:
        world.take_over(plan.home)
    else:
        _make_home(world, say)
    world.write_params()
    world.proxy.start()
    world.up()
    load = Load(world, photos_of(world.home / "demo" / "truth.json"), plan.seed)
    outcome.seconds["ready"] = round(time.monotonic() - started, 1)
    load.start()
    _strike_all(plan, world, servers, load, outcome, say)
    outcome.seconds["faults"] = round(time.monotonic() - started - outcome.seconds["ready"], 1)
    say(f"the last fault is over; people did {dict(load.written.counts)}")
    outcome.checks["every program came back by itself"] = world.stumbling(COME_BACK_S)
    world.up()
    _look(plan, world, load.written, outcome, say)
    outcome.counts = _counts(world, load.written)
    outcome.seconds["all"] = round(time.monotonic() - started, 1)


def _make_home(world: World, say: Say) -> None:
    say("making a platform by a small demo")
    done = world.run("samples.demo", "--size", "small", "--seed", "1", timeout_s=1800.0)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def _strike_all(plan: Plan, world: World, servers: Servers, load: Load, outcome: Outcome, say: Say) -> None:
    striker = Striker(world, servers)
    began = time.monotonic()
    for fault in schedule(plan.seed, plan.n_faults, plan.setup):
        time.sleep(fault.pause_s)
        if fault.number > plan.n_faults - LAST_ALONE:
            load.stop()
        at_s = round(time.monotonic() - began, 1)
        under_way = _under_way(world)
        effect = striker.strike(fault)
        entry = {"number": fault.number, "kind": fault.kind.value, "target": fault.target, "at_s": at_s}
        outcome.faults.append({**entry, "effect": effect, "under_way": under_way})
        say(f"{at_s:7.1f} s  seed {plan.seed} fault {fault.number}: {effect}; under way: {', '.join(under_way) or '-'}")
    striker.wait_until_over()
    load.stop()


def _under_way(world: World) -> list[str]:
    try:
        world.accept_stops()
        return world.active_jobs()
    except DamageloopError:
        return ["the database does not answer"]


def _look(plan: Plan, world: World, written: Written, outcome: Outcome, say: Say) -> None:
    began = time.monotonic()
    outcome.checks["it came to rest"] = wait_until_quiet(world, plan.quiet_s)
    outcome.seconds["to rest"] = round(time.monotonic() - began, 1)
    world.lead_webhooks(webhook_url(world.settings))
    for name, check in CHECKS.items():
        try:
            outcome.checks[name] = list(check(world, written))
        except Exception as exc:  # noqa: BLE001 - the other checks tell something all the same
            outcome.checks[name] = [f"could not be checked: {type(exc).__name__}: {exc}"]
        say(f"{'ok    ' if not outcome.checks[name] else 'BROKEN'} {name}")


def _counts(world: World, written: Written) -> dict[str, Any]:
    jobs = all_jobs(world)
    with world.core.units(read_only=True) as work:
        counts = {
            "annotations": len(work.annotations.all()),
            "rounds": len(work.rounds.all()),
            "snapshots": len(work.snapshots.all()),
            "models": len(work.models.all()),
            "promotions": len(work.models.promotions()),
        }
    return {
        **counts,
        "jobs": dict(Counter(job.state.value for job in jobs)),
        "attempts beyond the first": sum(max(job.attempts - 1, 0) for job in jobs),
        "stops that a person accepted": list(world.accepted_stops),
        "people": dict(written.counts),
        "webhooks": dict(world.proxy.counts),
    }


def _end(world: World, servers: Servers, outcome: Outcome) -> None:
    done = world.run("damageloop", "down")
    left = world.processes()
    outcome.checks["no process is left"] = [f"{p.pid} {' '.join(p.cmdline())[:150]}" for p in left]
    if done.returncode:
        outcome.checks["no process is left"].append(f"`damageloop down` failed: {done.stderr[-300:]}")
    for process in left:
        process.kill()
    servers.stop()
    world.proxy.stop()


def _tell(outcome: Outcome, world: World, say: Say) -> None:
    say(f"{json.dumps(outcome.counts)} {json.dumps(outcome.seconds)}")
    for name, violations in outcome.checks.items():
        for violation in violations[:10]:
            say(f"BROKEN {name}: {violation}")
    if not outcome.is_sound:
        for log in sorted((world.home / "logs").glob("*.log")):
            say(f"--- the end of {log.name}")
            say("\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:]))


def _keep(world: World, folder: Path) -> None:
    """Copy what tells why something broke from the disk that goes with us."""
    kept = folder / "kept"
    shutil.copytree(world.home / "logs", kept / "logs", dirs_exist_ok=True)
    for name in ("damageloop.sqlite", "damageloop.sqlite-wal", "run/supervisord.log"):
        if (world.home / name).exists():
            shutil.copy2(world.home / name, kept)
    for name in ("workspace", "releases"):
        subprocess.run(["cp", "-r", str(world.home / name), str(kept)], check=False)
