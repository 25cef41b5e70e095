"""Make a platform, step by step; each step does nothing where it was done before."""

from __future__ import annotations

import secrets as random_secrets
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from damageloop.adapters.database.migrate import upgrade as migrate
from damageloop.adapters.kept_key import ADMIN_KEY
from damageloop.adapters.secrets import ML_BACKEND_PASSWORD, Secrets
from damageloop.bootstrap.api import WEBHOOK_SECRET
from damageloop.bootstrap.cli import make_supervisor
from damageloop.bootstrap.core import Core, template
from damageloop.bootstrap.processes import LABEL_STUDIO_PASSWORD
from damageloop.bootstrap.unfinished import require_finished
from damageloop.domain.key import KeyState, Scope, hash_of_key, hint_of_key
from damageloop.errors import InvalidInputError, NotFoundError
from damageloop.params import load_params
from damageloop.services.models.register_base import RegisterBase
from damageloop.services.reviews.receive_reviews import IDENTITY
from damageloop.services.serving.keys import Keys
from damageloop.settings import Settings

Say = Callable[[str], None]

# Names of files below secrets/, not secrets.
LABEL_STUDIO_TOKEN = "label-studio-token"  # noqa: S105
# What must answer while the platform is connected; the rest can wait for `damageloop up`.
NEEDED = ("mlflow", "label-studio", "ml-backend")


def initialise(settings: Settings, params_file: Path | None, say: Say) -> None:
    """Make the platform in `settings.root`, with its outside services running when it returns.

    Args:
        settings: Where everything is.
        params_file: First parameters of the workspace; the product's own when None.
        say: Takes one line of progress at a time.

    Raises:
        DamageloopError: If a step fails; what was done stays, and calling again goes on there.
    """
    require_finished(settings)
    first_params = params_file or template("params.yaml")
    load_params(first_params)
    _make_home(settings, say)
    _bring_database(settings, say)
    say("database      migrated")
    _make_workspace(settings, first_params, say)
    core = Core(settings)
    _make_admin_key(core)
    supervisor = make_supervisor(say, settings)
    supervisor.start(only=[name for name in NEEDED if name in supervisor.names()])
    say(f"model         {_register_base(core)}")
    _connect_label_studio(core)
    say("label studio  project, storage, ML backend and webhook are connected")


def is_initialised(settings: Settings) -> bool:
    """Tell whether every step was done once. Raises ConflictError while an archive is put back only in part."""
    require_finished(settings)
    if not settings.params_file.exists():
        return False
    with Core(settings).units(read_only=True) as work:
        return work.facts.get(IDENTITY) is not None


def refresh(settings: Settings, say: Say) -> None:
    """Bring an initialised home to this code and this place: it may be older, or have been moved.

    Raises:
        ConflictError: If it is older and runs, is of a newer release, lacks parts that were not put back yet, or can't
            be upgraded; it is then as it was.
    """
    require_finished(settings)
    _bring_database(settings, say)
    _make_workspace(settings, settings.params_file, lambda _: None)


def reconnect(settings: Settings) -> None:
    """Set Label Studio to this home's folder and these ports, which may be others than when it was connected.

    Raises:
        DamageloopError: If Label Studio does not answer or refuses.
    """
    _connect_label_studio(Core(settings))


def webhook_url(settings: Settings) -> str:
    """Return where Label Studio sends its events."""
    return f"{settings.operations_url}/v1/webhooks/label-studio"


def _bring_database(settings: Settings, say: Say) -> None:
    """Make the tables; data of an older release is upgraded with all that belongs to it, after a backup."""
    from damageloop.bootstrap.upgrade import has_older_data, upgrade

    if has_older_data(settings):
        say("This home is of an older release; it is upgraded after a backup.")
        upgrade(settings, say)
    else:
        migrate(settings.database)


def _make_home(settings: Settings, say: Say) -> None:
    settings.root.mkdir(parents=True, exist_ok=True)
    kept = Secrets(settings.secrets_dir)
    kept.ensure(WEBHOOK_SECRET)
    kept.ensure(LABEL_STUDIO_PASSWORD, nbytes=12)
    try:
        kept.read(LABEL_STUDIO_TOKEN)
    except NotFoundError:
        # Label Studio takes 40 hexadecimal digits.
        kept.write(LABEL_STUDIO_TOKEN, random_secrets.token_hex(20))
    say(f"secrets       in {settings.secrets_dir}, for you alone")


def _make_workspace(settings: Settings, params_file: Path, say: Say) -> None:
    from damageloop.adapters.workspace import create_workspace

    create_workspace(settings.workspace_dir, template("dvc.yaml"), params_file, settings.dvc_remote)
    say("workspace     git and DVC are ready")


def _make_admin_key(core: Core) -> None:
    kept, keys = Secrets(core.settings.secrets_dir), Keys(core.units, core.clock)
    try:
        known = kept.read(ADMIN_KEY)
    except NotFoundError:
        known = ""
    found = keys.look_up(known) if known else None
    if known and found is None:
        # The file may be older than the database, after a restore: the key in it shall work.
        with core.units() as work:
            hint = hint_of_key(known)
            work.keys.add("admin", [Scope.ADMIN], hash_of_key(known), core.clock.now(), hint=hint)
            work.commit()
    elif found is None or keys.state(found) is not KeyState.IN_USE:
        # None was made yet, or the one in the file was revoked or has ended.
        _, key = keys.create("admin", [Scope.ADMIN])
        kept.write(ADMIN_KEY, key)


def _register_base(core: Core) -> str:
    from damageloop.adapters.base_export import BaseExporter

    wanted = {"onnx": core.params.export.onnx, "torchscript": core.params.export.torchscript}
    export = BaseExporter(core.weights_folders, [name for name, is_wanted in wanted.items() if is_wanted])
    return RegisterBase(
        core.units, export, core.registry, core.releases, core.feature_releases, core.clock, core.params
    )()


def _connect_label_studio(core: Core) -> None:
    from damageloop.adapters.label_studio.setup import ProjectPlan, connect
    from damageloop.bootstrap.labeling_page import form_of, labeling_page, put_examples

    settings, kept = core.settings, Secrets(core.settings.secrets_dir)
    images = settings.image_folder
    if images is None:
        raise InvalidInputError("DAMAGELOOP_IMAGE_STORE_URL: Label Studio serves photos from a folder, not a bucket.")
    (images / "sha256").mkdir(parents=True, exist_ok=True)
    plan = ProjectPlan(
        classes=core.params.labels.classes,
        former=core.params.labels.former,
        form=form_of(core.params),
        instruction=labeling_page(core.params, settings).instruction,
        examples_dir=put_examples(core.params, settings),
        storage_dir=images / "sha256",
        webhook_url=webhook_url(settings),
        webhook_secret=kept.read(WEBHOOK_SECRET),
        ml_backend_url=settings.ml_backend_url,
        ml_backend_password=kept.read_if_there(ML_BACKEND_PASSWORD),
    )
    made = connect(settings.label_studio, settings.label_studio_token.read_text().strip(), plan)
    with core.units() as work:
        if work.facts.get(IDENTITY) is None:
            work.facts.set(IDENTITY, asdict(made.identity))
            work.commit()
