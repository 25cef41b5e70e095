"""Brings a home of an older release to this one: a backup first, then step by step, and all back when one fails.

Each step is whole or not at all and does nothing where it was done before: an upgrade that was killed goes on where
it stopped when it is called again.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from damageloop.adapters.database.migrate import known_revisions, newest_revision, revision_of
from damageloop.adapters.database.migrate import upgrade as migrate
from damageloop.adapters.params_file import replace_text
from damageloop.adapters.params_upgrade import merged
from damageloop.bootstrap.backup import back_up
from damageloop.bootstrap.backup_places import BACKUPS, DATABASE, WORKSPACE
from damageloop.bootstrap.core import Core, template
from damageloop.bootstrap.restore import exchange, require_stopped
from damageloop.bootstrap.unfinished import require_finished
from damageloop.errors import ConflictError, DamageloopError, UnavailableError
from damageloop.params import Params, load_params, parse_params
from damageloop.settings import Settings
from damageloop.training_params import Section

Say = Callable[[str], None]
Told = Callable[[int, int], None]
PARAMETERS, FEATURES = "parameters", "features"
# What the steps change; images, releases, runs and Label Studio stay as they are.
_TOUCHED = (WORKSPACE, DATABASE, FEATURES)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What was done. `backup` is None when there was nothing to do."""

    steps: tuple[str, ...]
    backup: Path | None


def pending(settings: Settings) -> tuple[str, ...]:
    """Return the steps that this home needs, in their order; none for a home that does not exist yet.

    Raises:
        ConflictError: If the database is of a newer release than this one, or parts of the home are missing.
    """
    require_finished(settings)
    is_due = {
        PARAMETERS: settings.params_file.exists() and bool(_merged_params(settings)[1]),
        WORKSPACE: settings.params_file.exists() and _has_old_pipeline(settings),
        DATABASE: has_older_database(settings),
        FEATURES: _has_old_features(settings),
    }
    return tuple(step for step, due in is_due.items() if due)


def has_older_database(settings: Settings) -> bool:
    """Tell whether the database is of an older release; one without tables is of none. Raises ConflictError."""
    revision = revision_of(settings.database)
    if revision is not None and revision not in known_revisions():
        raise ConflictError(
            f"The database is at revision {revision}, of a newer release: install that one, or restore a backup."
        )
    return revision is not None and revision != newest_revision()


def has_older_data(settings: Settings) -> bool:
    """Tell whether database or features are of an older release: also after an upgrade that was killed between them.

    Parameters and the pipeline alone are none: what they lack has its default, and both may be people's own.
    """
    return has_older_database(settings) or (revision_of(settings.database) is not None and _has_old_features(settings))


def upgrade(settings: Settings, say: Say, told: Told = lambda done, total: None) -> Upgrade:
    """Bring the home to this release and return what was done.

    Images are not in the backup: they never change.

    Args:
        settings: Where everything is.
        say: Takes one line for each step.
        told: Takes the backup's progress in bytes.

    Raises:
        ConflictError: If the platform runs, the database is of a newer release, or a step fails; all is then as it was.
        UnavailableError: If the backup can't be made; nothing was touched.
    """
    due = pending(settings)
    if not due:
        return Upgrade((), None)
    require_stopped(settings)
    moment = Core(settings).clock.now()
    target = settings.root / BACKUPS / f"before-upgrade-{moment:%Y%m%d-%H%M%S}.tar"
    archive = back_up(settings, target, with_images=False, say=lambda _: None, told=told).path
    say(f"backup        {archive} (without images, which never change)")
    for step in due:
        with _put_back_on_failure(settings, archive, step):
            say(f"{step:<13} {STEPS[step](settings)}")
    return Upgrade(due, archive)


@contextmanager
def _put_back_on_failure(settings: Settings, archive: Path, step: str) -> Iterator[None]:
    try:
        yield
    except BaseException as exc:
        try:
            exchange(settings, archive, _TOUCHED)
        except (DamageloopError, OSError) as second:
            raise UnavailableError(
                f"The upgrade stopped at {step} ({exc}) and could not be undone ({second}): "
                f"`damageloop restore {archive} --yes` puts all back as it was; nothing is deleted before."
            ) from exc
        if isinstance(exc, DamageloopError):
            raise ConflictError(
                f"The upgrade stopped at {step}: {exc} All is as it was before; the backup is {archive}."
            ) from exc
        raise


def _upgrade_parameters(settings: Settings) -> str:
    before = load_params(settings.params_file)
    text, added = _merged_params(settings)
    # Checked before it is written: what people set has its value still.
    after = parse_params(yaml.safe_load(text))
    if after.hash() != before.hash():
        raise ConflictError("The new params.yaml would change what a training does.")
    replace_text(settings.params_file, text)
    return f"params.yaml has {', '.join(added)} now; all that was set stays"


def _upgrade_workspace(settings: Settings) -> str:
    from damageloop.adapters.workspace import create_workspace

    create_workspace(settings.workspace_dir, template("dvc.yaml"), settings.params_file, settings.dvc_remote)
    return "dvc.yaml is renewed and becomes part of the next snapshot"


def _upgrade_database(settings: Settings) -> str:
    before = revision_of(settings.database)
    migrate(settings.database)
    return f"from revision {before} to {newest_revision()}"


def _upgrade_features(settings: Settings) -> str:
    from damageloop.adapters.features.first_layout import convert

    return f"{convert(settings.feature_store)} parts brought into today's layout"


# The features come last: in a bucket they are in no backup, and nothing can fail after them.
STEPS: Mapping[str, Callable[[Settings], str]] = {
    PARAMETERS: _upgrade_parameters,
    WORKSPACE: _upgrade_workspace,
    DATABASE: _upgrade_database,
    FEATURES: _upgrade_features,
}


def _merged_params(settings: Settings) -> tuple[str, tuple[str, ...]]:
    mine = settings.params_file.read_text(encoding="utf-8")
    return merged(mine, template("params.yaml").read_text(encoding="utf-8"), _is_section)


def _is_section(name: str) -> bool:
    """Tell whether a name, as in `training.semi_supervised`, is a section of fixed names."""
    found: typing.Any = Params
    for part in name.split("."):
        field = getattr(found, "model_fields", {}).get(part)
        found = field.annotation if field else None
    return isinstance(found, type) and issubclass(found, Section)


def _has_old_pipeline(settings: Settings) -> bool:
    file = settings.workspace_dir / "dvc.yaml"
    return not file.exists() or file.read_bytes() != template("dvc.yaml").read_bytes()


def _has_old_features(settings: Settings) -> bool:
    from damageloop.adapters.features.first_layout import old_parts

    return bool(old_parts(settings.feature_store))
