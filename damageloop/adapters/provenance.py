"""Which code and which libraries made a result."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from damageloop.adapters.git import Git
from damageloop.errors import UnavailableError

_SOURCE_ROOT = Path(__file__).resolve().parents[2]
# What a result can depend on: the demo, the tests and the documents may differ.
_CODE = ("active_learning", "damageloop", "workers", "dvc.yaml")


def code_revision() -> str:
    """Return the commit of the source tree, or the package's version where there is none.

    A tree whose code differs from its commit gets `-dirty-` and a hash of the difference, so that two different
    states never share a name.
    """
    version = f"v{_version()}"
    # A checkout, not a wheel that lies somewhere below another repository.
    if not (_SOURCE_ROOT / ".git").exists():
        return version
    git = Git(_SOURCE_ROOT)
    try:
        commit = git("rev-parse", "--verify", "HEAD")
        changed = git("diff", "HEAD", "--", *_CODE) + _untracked_content(git)
    except UnavailableError:
        return version
    if not changed:
        return commit
    return f"{commit[:12]}-dirty-{hashlib.sha256(changed.encode()).hexdigest()[:12]}"


def lock_hash() -> str:
    """Return one hash of the names and versions of all installed distributions, whatever lock they came from."""
    pairs = {(str(d.metadata["Name"]).lower(), d.version) for d in metadata.distributions()}
    lines = "".join(f"{name}=={version}\n" for name, version in sorted(pairs))
    return hashlib.sha256(lines.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version() -> str:
    try:
        return metadata.version("damageloop")
    except metadata.PackageNotFoundError:
        return "0"


def _untracked_content(git: Git) -> str:
    """Return names and hashes of code files that git does not know yet."""
    names = git("ls-files", "--others", "--exclude-standard", "--", *_CODE).splitlines()
    return "".join(f"{name} {file_sha256(git.folder / name)}\n" for name in sorted(names))
