"""How to start MLflow's server for one machine: loopback, SQLite, artifacts through the server. Starts nothing."""

from __future__ import annotations

from pathlib import Path


def server_command(python: Path, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the command line and what its environment needs besides ours; makes `folder`.

    Artifacts are `mlflow-artifacts:/` paths, so no run holds a path of this machine.

    Args:
        python: The platform's interpreter.
        folder: Where database and artifacts lie.
        port: On 127.0.0.1.
    """
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    argv = [
        str(python),
        *("-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.sqlite'}"),
        *("--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")),
        *("--allowed-hosts", f"localhost:{port},127.0.0.1:{port}"),
        *("--cors-allowed-origins", f"http://localhost:{port},http://127.0.0.1:{port}"),
    ]
    # The job runner would start processes of its own, for functions that nobody here uses.
    return argv, {**QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


# MLflow reads these when it is imported.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
