"""A platform is backed up while it is in use, and is the same elsewhere; what is damaged is never put back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from damageloop.adapters.database.migrate import upgrade
from damageloop.bootstrap import backup as backup_module
from damageloop.bootstrap import restore as restore_module
from damageloop.bootstrap.backup import Backup, back_up
from damageloop.bootstrap.core import Core
from damageloop.bootstrap.doctor import examine
from damageloop.bootstrap.initialise import initialise, is_initialised, refresh
from damageloop.bootstrap.restore import restore, verify_archive
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from damageloop.settings import Settings
from tests.factories import MOMENT, add_image
from tests.integration.backup_world import (
    ROOT,
    files_of,
    fill_home,
    rows_of,
    said_by_database,
    snapshot_of,
)
from tests.integration.databases import BOTH, ON_SQLITE, SQLITE

DATABASES = BOTH


def told(done: int, total: int) -> None:
    assert 0 <= done <= total


def backed_up(settings: Settings, target: Path, with_images: bool = True) -> Backup:
    return back_up(settings, target, with_images, lambda _: None, told)


def put_back(settings: Settings, archive: Path, may_replace: bool = False) -> Path | None:
    return restore(settings, archive, may_replace, lambda _: None, told).aside


@pytest.fixture
def home(home_with_workspace: Path, tmp_path: Path, database: str, database_url: str) -> Settings:
    """A home in use; on SQLite its database lies in it, as by default."""
    root = Path(shutil.copytree(home_with_workspace, tmp_path / "home"))
    settings = Settings(home=root, database_url="" if database == SQLITE else database_url)
    if database == SQLITE:
        shutil.move(database_url.removeprefix("sqlite:///"), root / "damageloop.sqlite")
    fill_home(settings)
    return settings


@pytest.fixture
def elsewhere(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """An empty home with an empty database."""
    if database == SQLITE:
        yield Settings(home=tmp_path / "elsewhere", api_port=8123)
        return
    server = request.getfixturevalue("postgres")
    url = server.empty()
    yield Settings(home=tmp_path / "elsewhere", database_url=url, api_port=8123)
    server.drop(url)


def test_everything_is_the_same_elsewhere(home: Settings, elsewhere: Settings, tmp_path: Path) -> None:
    said, files, snapshot = said_by_database(home), files_of(home), snapshot_of(home)
    made = backed_up(home, tmp_path / "all.tar")
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert put_back(elsewhere, made.path) is None
    assert said_by_database(elsewhere) == said
    assert files_of(elsewhere) == files
    for name in ("label-studio/label_studio.sqlite3", "mlflow/mlflow.sqlite"):
        assert rows_of(elsewhere.root / name) == rows_of(home.root / name)
    # DVC looks where this home is, not where the other one was.
    shutil.rmtree(home.root)
    shutil.rmtree(elsewhere.workspace_dir / ".dvc" / "cache")
    assert snapshot_of(elsewhere) == snapshot
    assert not [
        path.name for path in elsewhere.root.iterdir() if path.name in ("logs", "cache") or "restor" in path.name
    ]


def test_a_restored_database_goes_on_where_it_was(home: Settings, elsewhere: Settings, tmp_path: Path) -> None:
    made = backed_up(home, tmp_path / "all.tar")
    put_back(elsewhere, made.path)
    upgrade(elsewhere.database)
    with Core(elsewhere).units() as work:
        assert add_image(work, 3).id == 3
        assert work.annotations.sequence() == 2
        assert [entry.action for entry in work.audit.all()] == ["restore"]
    with Core(home).units(read_only=True) as work:
        assert [(entry.action, entry.subject) for entry in work.audit.all()] == [("backup", "all.tar")]


def test_what_is_there_is_moved_aside_and_only_when_that_is_wished(home: Settings, tmp_path: Path) -> None:
    made = backed_up(home, tmp_path / "all.tar")
    said, files = said_by_database(home), files_of(home)
    with Core(home).units() as work:
        work.facts.set("reviews.highest_id", 99)
        work.commit()
    (home.root / "weights" / "base.pt").write_bytes(b"another")
    with pytest.raises(ConflictError, match="--yes"):
        put_back(home, made.path)
    assert (home.root / "weights" / "base.pt").read_bytes() == b"another"
    aside = put_back(home, made.path, may_replace=True)
    assert said_by_database(home) == said
    assert files_of(home) == files
    assert aside is not None
    assert (aside / "weights" / "base.pt").read_bytes() == b"another"
    assert list(aside.glob("damageloop.sql*"))


@ON_SQLITE
def test_without_images_the_image_store_stays_as_it_is(home: Settings, tmp_path: Path) -> None:
    files = files_of(home)
    made = backed_up(home, tmp_path / "small.tar", with_images=False)
    assert not [file.name for file in made.manifest.files if file.name.startswith("images/")]
    assert "images" in made.manifest.left_out
    put_back(home, made.path, may_replace=True)
    assert files_of(home) == files


@ON_SQLITE
def test_a_backup_is_of_one_moment_while_others_write(
    home: Settings, elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that is open while the copy is made is not in it, and neither waits for the other."""
    with Core(home).units() as work, closing(connect(home.root / "label-studio" / "label_studio.sqlite3")) as other:
        add_image(work, 3)
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("INSERT INTO task_completion VALUES (77, 'half')")
        # What it writes itself in the end would wait for the open transaction.
        monkeypatch.setattr(backup_module, "_account", lambda *_: None)
        made = backed_up(home, tmp_path / "all.tar")
    put_back(elsewhere, made.path)
    with Core(elsewhere).units(read_only=True) as work:
        assert work.images.count() == 2
    assert 77 not in dict(rows_of(elsewhere.root / "label-studio" / "label_studio.sqlite3"))


# --- what follows needs no second kind of database -----------------------------------------------------------------


@pytest.fixture(name="embedded")
def embedded_(home_with_workspace: Path, migrated_database: Path, tmp_path: Path) -> Settings:
    settings = Settings(home=Path(shutil.copytree(home_with_workspace, tmp_path / "home")))
    shutil.copy(migrated_database, settings.root / "damageloop.sqlite")
    fill_home(settings)
    return settings


def test_a_flipped_byte_anywhere_is_found_and_its_file_is_named(embedded: Settings, tmp_path: Path) -> None:
    elsewhere = Settings(home=tmp_path / "elsewhere")
    made = backed_up(embedded, tmp_path / "all.tar")
    assert verify_archive(made.path, told) == made.manifest
    with tarfile.open(made.path) as tar:
        chosen = {m.name: m.offset_data for m in tar if m.name in ("weights/base.pt", "manifest.json")}
        (image,) = {m.name: m.offset_data + 7 for m in tar if m.name.endswith(f"{2:064x}.jpg")}.items()
    for name, place in {**chosen, image[0]: image[1]}.items():
        damaged = Path(shutil.copy(made.path, tmp_path / "damaged.tar"))
        with damaged.open("r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1]))
        with pytest.raises(InvalidInputError, match=name.rpartition("/")[2]):
            verify_archive(damaged, told)
        with pytest.raises(InvalidInputError):
            put_back(elsewhere, damaged)
    assert not elsewhere.root.exists()


def test_an_archive_that_was_cut_off_or_is_none_is_refused(embedded: Settings, tmp_path: Path) -> None:
    made = backed_up(embedded, tmp_path / "all.tar")
    (tmp_path / "cut.tar").write_bytes(made.path.read_bytes()[: made.n_bytes // 2])
    (tmp_path / "other.tar").write_bytes(b"no archive" * 1000)
    for name in ("cut.tar", "other.tar"):
        with pytest.raises(InvalidInputError, match=name):
            verify_archive(tmp_path / name, told)
    with pytest.raises(NotFoundError):
        verify_archive(tmp_path / "none.tar", told)


def test_a_full_disk_leaves_nothing_behind(embedded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "backups"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="No space left"):
        backed_up(embedded, target / "all.tar")
    assert list(target.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(UnavailableError, match="--without-images"):
        backed_up(embedded, target / "all.tar")
    assert list(target.iterdir()) == []


def test_a_killed_backup_leaves_no_archive_and_the_next_one_tidies_up(embedded: Settings, tmp_path: Path) -> None:
    target = tmp_path / "backups" / "all.tar"
    code = (
        "import os, signal, sys; from pathlib import Path; from damageloop.bootstrap import backup as b; "
        "from damageloop.settings import Settings; "
        "b.add_tree = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        "b.back_up(Settings(), Path(sys.argv[1]), True, print, lambda *_: None)"
    )
    environment = {**os.environ, "DAMAGELOOP_HOME": str(embedded.root)}
    done = subprocess.run([sys.executable, "-c", code, str(target)], cwd=ROOT, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = target.parent.iterdir()
    assert left.is_dir()
    backed_up(embedded, target)
    assert list(target.parent.iterdir()) == [target]


def test_an_image_that_is_forgotten_meanwhile_makes_the_backup_void(
    embedded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(*_: object) -> None:
        with Core(embedded).units() as work:
            if work.redactions.of_image(1) is None:
                work.redactions.add(1, "a", "b", "jpg", "asked for", "ann", MOMENT)
            work.commit()

    monkeypatch.setattr(backup_module, "add_tree", forget)
    with pytest.raises(ConflictError, match="forgotten"):
        backed_up(embedded, tmp_path / "backups" / "all.tar")
    assert list((tmp_path / "backups").iterdir()) == []


def test_an_archive_of_another_kind_of_database_or_of_a_newer_release_is_refused(
    embedded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backed_up(embedded, tmp_path / "all.tar")
    with pytest.raises(ConflictError, match="DAMAGELOOP_DATABASE_URL"):
        put_back(Settings(home=tmp_path / "x", database_url="postgresql+psycopg://u@localhost/x"), made.path)
    monkeypatch.setattr("damageloop.bootstrap.restore.known_revisions", lambda: ("0001",))
    with pytest.raises(ConflictError, match="newer release"):
        put_back(Settings(home=tmp_path / "x"), made.path)
    assert not (tmp_path / "x").exists()


def test_there_is_nothing_to_back_up_before_init_and_no_file_is_written_over(
    embedded: Settings, tmp_path: Path
) -> None:
    with pytest.raises(ConflictError, match="no platform"):
        back_up(Settings(home=tmp_path / "nothing"), None, True, lambda _: None, told)
    assert not (tmp_path / "nothing").exists()
    made = backed_up(embedded, tmp_path / "all.tar")
    with pytest.raises(ConflictError, match="exists already"):
        backed_up(embedded, made.path)


class KilledError(BaseException):
    """The process ends here."""


def kill_at_move(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """End in place of one of the moves, the first being 1, and tidy up nothing."""
    own, done = shutil.move, 0

    def move(source: Path, target: Path) -> object:
        nonlocal done
        done += 1
        if done == number:
            raise KilledError
        return own(source, target)

    monkeypatch.setattr(shutil, "move", move)
    monkeypatch.setattr(restore_module, "_tidy", lambda _: None)


def moves_of(embedded: Settings, archive: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """Return how many moves a restore makes over this home, tried on a copy."""
    own, done = shutil.move, []
    copy = Settings(home=Path(shutil.copytree(embedded.root, tmp_path / "copy")))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "move", lambda *paths: done.append(own(*paths)))
        put_back(copy, archive, may_replace=True)
    return len(done)


def test_the_secret_key_of_label_studio_is_in_a_backup(embedded: Settings, tmp_path: Path) -> None:
    made = backed_up(embedded, tmp_path / "all.tar")
    names = {file.name for file in made.manifest.files}
    assert "label-studio/.env" in names


def test_a_restore_that_was_killed_is_finished_by_the_same_call_and_nothing_builds_on_the_rest(
    embedded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backed_up(embedded, tmp_path / "all.tar")
    said, files = said_by_database(embedded), files_of(embedded)
    n_moves = moves_of(embedded, made.path, monkeypatch, tmp_path)
    # The first, one in the middle of moving away, one in the middle of putting back, and the last.
    for number in (1, n_moves // 4, 3 * n_moves // 4, n_moves):
        home = Settings(home=Path(shutil.copytree(embedded.root, tmp_path / f"home-{number}")))
        (home.root / "weights" / "base.pt").write_bytes(b"another")
        with monkeypatch.context() as patch:
            kill_at_move(patch, number)
            with pytest.raises(KilledError):
                put_back(home, made.path, may_replace=True)
        for call in (is_initialised, lambda s: initialise(s, None, print), lambda s: refresh(s, print)):
            with pytest.raises(ConflictError, match=f"`damageloop restore {made.path} --yes` finishes it"):
                call(home)
        assert [(check.name, check.ok) for check in examine(home)] == [("restore", False)]
        put_back(home, made.path, may_replace=True)
        assert said_by_database(home) == said
        assert files_of(home) == files
        # What was there before is there still, in one of the folders.
        kept = [path.read_bytes() for path in home.root.glob("before-restore-*/weights/base.pt")]
        assert b"another" in kept
        assert not list(home.root.glob(".restoring*"))
        is_initialised(home)


def test_another_archive_does_not_finish_a_restore_that_was_begun(
    embedded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, other = backed_up(embedded, tmp_path / "all.tar"), backed_up(embedded, tmp_path / "small.tar", False)
    with monkeypatch.context() as patch:
        kill_at_move(patch, 3)
        with pytest.raises(KilledError):
            put_back(embedded, begun.path, may_replace=True)
    with pytest.raises(ConflictError, match=r"all\.tar --yes"):
        put_back(embedded, other.path, may_replace=True)


def test_a_restore_that_the_disk_stops_names_the_archive_and_what_was_there(
    embedded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    made = backed_up(embedded, tmp_path / "all.tar")
    empty = Settings(home=tmp_path / "elsewhere")
    for settings, before in ((empty, ""), (embedded, r" What was there before lies in .*before-restore-\S+\.")):
        with monkeypatch.context() as patch:
            patch.setattr(restore_module, "write_local_config", full)
            with pytest.raises(UnavailableError, match=rf"restore {made.path} --yes` then finishes it\.{before}$"):
                put_back(settings, made.path, may_replace=True)
