"""Git, as far as the workspace needs it: a fixed identity, no hooks, no signing, no prompts."""

from __future__ import annotations

from pathlib import Path

from damageloop.adapters.commands import environment_without_git, run_command
from damageloop.errors import UnavailableError

# A fresh machine has no identity, and a user's hooks and signing keys are not meant for our commits.
_CONFIG = (
    "user.name=damageloop",
    "user.email=damageloop@localhost",
    "commit.gpgsign=false",
    "tag.gpgsign=false",
    "core.hooksPath=/dev/null",
    "core.autocrlf=false",
    "gc.auto=0",
    "advice.detachedHead=false",
)
_TIMEOUT_S = 300.0


class Git:
    """A git repository, or a folder that becomes one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *args: str) -> str:
        """Run `git ARGS` in the folder and return what it printed, stripped. Raises UnavailableError."""
        env = {**environment_without_git(), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        config = [part for pair in _CONFIG for part in ("-c", pair)]
        return run_command(["git", *config, *args], self.folder, env, f"git {args[0]}", _TIMEOUT_S).strip()

    def init(self) -> None:
        """Make the repository; one that is there stays as it is."""
        if not (self.folder / ".git").exists():
            self("init", "-q", "-b", "main")

    def commit_of(self, revision: str) -> str | None:
        """Return the full hash of a commit or tag, or None when there is none of that name."""
        try:
            return self("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        except UnavailableError:
            return None

    def has_staged_changes(self) -> bool:
        return bool(self("diff", "--cached", "--name-only"))

    def is_tracked(self, path: str) -> bool:
        return bool(self("ls-files", "--", path))

    def drop_stale_locks(self) -> None:
        """Remove locks that a killed git or dvc left, those of branches and tags too.

        Only for one who knows that neither runs in this folder.
        """
        for lock in (self.folder / ".git").rglob("*.lock"):
            lock.unlink(missing_ok=True)
        # A cut-off one keeps every later dvc command from starting.
        (self.folder / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
