"""Back the platform up, put it back, and bring it to this release."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from damageloop.cli.output import JsonOption, print_json, say
from damageloop.domain.backup import BackupManifest
from damageloop.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backup)
    app.command()(restore)
    app.command()(upgrade)


def backup(
    file: Annotated[
        Path | None, typer.Argument(help="A new file; without one, a file in $DAMAGELOOP_HOME/backups.")
    ] = None,
    without_images: Annotated[
        bool, typer.Option("--without-images", help="Leave out the image store, whose files never change.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write everything into one archive with the hash of each file; may be done while people work."""
    from damageloop.bootstrap.backup import back_up

    notes: list[str] = []
    with _progress("Backing up", as_json) as told:
        made = back_up(Settings(), file, not without_images, notes.append, told)
    if as_json:
        print_json({"file": str(made.path), "bytes": made.n_bytes, **_described(made.manifest)})
        return
    _say_all(notes)
    say(f"{made.path}: {len(made.manifest.files)} files, {made.n_bytes / 1e6:.1f} MB. It holds secrets: keep it safe.")


def restore(
    file: Annotated[Path, typer.Argument(help="An archive that `damageloop backup` wrote.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Move a platform that is there aside, into before-restore-<time>.")
    ] = False,
    only_verify: Annotated[bool, typer.Option("--verify", help="Only check every hash; touch nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put an archive back into DAMAGELOOP_HOME; every hash is checked before anything is touched."""
    from damageloop.bootstrap.restore import restore as put_back
    from damageloop.bootstrap.restore import verify_archive

    if only_verify:
        with _progress("Checking", as_json) as told:
            manifest = verify_archive(file, told)
        if as_json:
            print_json({"file": str(file), "ok": True, **_described(manifest)})
        else:
            say(f"{file} is whole: {len(manifest.files)} files, made {manifest.created_at}.")
        return
    notes: list[str] = []
    with _progress("Restoring", as_json) as told:
        done = put_back(Settings(), file, yes, notes.append, told)
    if as_json:
        print_json({"file": str(file), "aside": done.aside and str(done.aside), **_described(done.manifest)})
        return
    _say_all(notes)
    if done.aside:
        say(f"What was there before lies in {done.aside}.")
    say("Restored. `damageloop up` starts it; then `damageloop verify` checks it.")


def upgrade(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; without it, --json only looks.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a home of an older release to this one, after a backup; when a step fails, all is put back."""
    from damageloop.bootstrap.upgrade import pending
    from damageloop.bootstrap.upgrade import upgrade as bring

    settings = Settings()
    due = pending(settings)
    if not as_json:
        say(f"To be upgraded: {', '.join(due)}." if due else "Nothing to upgrade: this home is of this release.")
    if not due or not (yes or (not as_json and typer.confirm("Back up and upgrade now?"))):
        if as_json:
            print_json({"pending": list(due), "done": [], "backup": None})
        return
    with _progress("Backing up", as_json) as told:
        done = bring(settings, _quiet if as_json else say, told)
    if as_json:
        print_json({"pending": [], "done": list(done.steps), "backup": done.backup and str(done.backup)})
    else:
        say("Upgraded. `damageloop up` starts it; then `damageloop verify` checks it.")


def _quiet(_: str) -> None:
    """Print nothing: the answer is one JSON document."""


def _described(manifest: BackupManifest) -> dict[str, Any]:
    return {
        "created_at": manifest.created_at,
        "product_version": manifest.product_version,
        "revision": manifest.revision,
        "parts": list(manifest.parts),
        "left_out": dict(manifest.left_out),
        "files": len(manifest.files),
    }


def _say_all(notes: list[str]) -> None:
    for note in notes:
        say(note)


@contextmanager
def _progress(title: str, is_quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for as long as the work takes, and yield what moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=is_quiet) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
