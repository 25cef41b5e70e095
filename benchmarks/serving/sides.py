"""Who takes part: each side's command line, its environment and the requests it understands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ports import free_ports
from benchmarks.serving import requests as http
from benchmarks.serving.home import Home, make_home
from benchmarks.serving.material import IMAGE_SIZE, Material
from benchmarks.serving.process import ServerProcess
from damageloop.adapters.supervisor_config import ProgramSpec
from damageloop.bootstrap.processes import QUIET, programs

F32, BF16 = "f32", "bf16"
TASKS_IN_A_REQUEST = 16
_PEERS = "benchmarks.serving.peers_servers"
_MULTIPART = "multipart"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps its files, and what it is made on."""

    folder: Path
    material: Material

    @property
    def root(self) -> Path:
        """Return the root of the code, from which peers are imported."""
        return Path(__file__).parents[2]


@dataclass(slots=True)
class Side:
    """One server under load.

    Attributes:
        name: As in the results.
        precision: What its model computes in.
        workers: Processes that hold a model.
        server: The process; it is not started.
        requests: The folder of its requests.
        port: Where it listens.
        n_images: Photos in one request.
    """

    name: str
    precision: str
    workers: int
    server: ServerProcess
    requests: Path
    port: int
    n_images: int = 1
    home: Home | None = field(default=None)


MakeSide = Callable[[Place], Side]


def ours(precision: str, name: str, serving: Mapping[str, Any], has_landscape: bool, place: Place) -> Side:
    """Return the API, by the command line of the product's own supervisor."""
    home = _home(place, name, precision, serving)
    photos = place.material.landscape if has_landscape else place.material.photos
    made = http.multipart("/v1/predictions", "images", photos, {"X-API-Key": home.key})
    return _side(place, name, precision, 1, _spec(home, "api"), made, home)


def our_backend(precision: str, n_tasks: int, name: str, place: Place) -> Side:
    """Return the ML backend; no task of its round has a stored prediction, so that each is computed."""
    home = _home(place, name, precision, {}, len(place.material.photos))
    tasks = [
        {"id": task_id, "project": 1, "data": {"image": "/data/local-files/?d=x", "image_id": image_id}}
        for task_id, image_id in home.task_ids
    ]
    made = http.as_json("/predict", http.tasks_bodies(tasks, n_tasks))
    side = _side(place, name, precision, 1, _spec(home, "ml-backend"), made, home)
    side.n_images = n_tasks
    side.server.is_good = partial(_has_result, side.port, made)
    return side


def _home(place: Place, name: str, precision: str, serving: Mapping[str, Any], n_tasks: int = 0) -> Home:
    ports = dict(zip(("api_port", "ml_backend_port"), free_ports(2), strict=True))
    return make_home(place.folder / "homes" / _slug(name), place.material, precision, ports, serving, n_tasks)


def _spec(home: Home, name: str) -> ProgramSpec:
    return next(spec for spec in programs(home.settings) if spec.name == name)


def _side(
    place: Place, name: str, precision: str, workers: int, spec: ProgramSpec, made: Sequence[bytes], home: Home
) -> Side:
    folder = http.write_requests(place.folder / "requests" / _slug(name), made)
    port = int(spec.port or 0)
    server = ServerProcess(
        spec.argv,
        spec.environment,
        place.folder / "logs" / f"{_slug(name)}.log",
        partial(http.is_answered, port, made[0]),
    )
    return Side(name, precision, workers, server, folder, port, home=home)


def _has_result(port: int, made: Sequence[bytes]) -> bool:
    """Tell whether a request is answered with regions: a backend without its model answers, but empty."""
    return any(b'"rectanglelabels"' in http.ask(port, request) for request in made[:4])


@dataclass(frozen=True, slots=True)
class Peer:
    """A server of others.

    Attributes:
        argv: After `python -m`; `{port}` and `{workers}` are filled in.
        path: Of its route.
        form: How a photo is sent: `multipart`, `frame` or `tasks`.
        takes_openvino: It is given ultralytics' OpenVINO export; else the checkpoint.
    """

    argv: tuple[str, ...]
    path: str
    form: str
    takes_openvino: bool = False


_UVICORN = ("uvicorn", f"{_PEERS}.fastapi_ultralytics:app", "--host", "127.0.0.1", "--port", "{port}")
_GUNICORN = ("gunicorn", "--preload", "--bind", "127.0.0.1:{port}", "--workers", "{workers}", "--threads", "8")
_MLFLOW = ("mlflow", "models", "serve", "-m", "{mlflow}", "--env-manager", "local", "-h", "127.0.0.1", "-p", "{port}")
PEERS = {
    "FastAPI + ultralytics": Peer((*_UVICORN, "--workers", "{workers}"), "/predict", _MULTIPART),
    "FastAPI + ultralytics on OpenVINO": Peer(
        (*_UVICORN, "--workers", "{workers}"), "/predict", _MULTIPART, takes_openvino=True
    ),
    "LitServe": Peer((f"{_PEERS}.litserve_ultralytics", "{workers}"), "/predict", _MULTIPART),
    "mlflow models serve": Peer((*_MLFLOW, "--workers", "{workers}"), "/invocations", "frame"),
    "label-studio-ml": Peer((*_GUNICORN, "--timeout", "0", f"{_PEERS}.label_studio_backend:app"), "/predict", "tasks"),
}


def peer(kind: str, workers: int, n_tasks: int, name: str, place: Place) -> Side:
    """Return a server of others; MLflow's model is saved first."""
    what, (port,) = PEERS[kind], free_ports(1)
    weights = place.material.peer_openvino if what.takes_openvino else place.material.weights
    environment = {
        **QUIET,
        "PEER_WEIGHTS": str(weights),
        "PEER_IMAGE_SIZE": str(IMAGE_SIZE),
        "PEER_PORT": str(port),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(place.root), os.environ.get("PYTHONPATH", "")))),
        "YOLO_CONFIG_DIR": str(place.folder / "ultralytics"),
        # `mlflow models serve` starts uvicorn by name.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
    }
    if "{mlflow}" in what.argv:
        _save_for_mlflow(place, environment)
    filled = {"port": port, "workers": workers, "mlflow": place.folder / "mlflow-model"}
    argv = (sys.executable, "-m", *(part.format(**filled) for part in what.argv))
    made = _requests_of(what, n_tasks, place.material.photos)
    folder = http.write_requests(place.folder / "requests" / _slug(name), made)
    is_good: Callable[[], bool] = partial(http.is_answered, port, made[0])
    if what.form == "tasks":
        is_good = partial(_set_up_and_answered, port, made, workers)
    server = ServerProcess(argv, environment, place.folder / "logs" / f"{_slug(name)}.log", is_good)
    precision = "bf16 by itself" if what.takes_openvino else F32
    return Side(name, precision, workers, server, folder, port, n_tasks)


def _save_for_mlflow(place: Place, environment: Mapping[str, str]) -> None:
    target = place.folder / "mlflow-model"
    if not target.is_dir():
        command = [sys.executable, "-m", f"{_PEERS}.mlflow_model", str(target)]
        subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True)


def _requests_of(what: Peer, n_tasks: int, photos: Sequence[Path]) -> list[bytes]:
    if what.form == _MULTIPART:
        return http.multipart(what.path, "file", photos)
    if what.form == "frame":
        return http.as_json(what.path, http.base64_frames(photos))
    tasks = [{"id": number, "data": {"image": str(photo)}} for number, photo in enumerate(photos)]
    return http.as_json(what.path, http.tasks_bodies(tasks, n_tasks))


def _set_up_and_answered(port: int, made: Sequence[bytes], workers: int) -> bool:
    """Set up each process of a label-studio-ml backend, which answers nothing before; then ask it."""
    (setup,) = http.as_json("/setup", [{"project": "1.1", "schema": "<View/>", "hostname": "", "access_token": ""}])
    n_tries = 1 if workers == 1 else 4 * workers
    return all(http.is_answered(port, setup) for _ in range(n_tries)) and http.is_answered(port, made[0])


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")


def all_sides(precisions: Sequence[str]) -> dict[str, MakeSide]:
    """Return what makes each side, by name, in the order of its turns."""
    found: dict[str, MakeSide] = {}
    square = {"shapes": ["square"]}
    for precision in precisions:
        for name, serving, has_landscape in (
            (f"ours {precision}", {}, False),
            (f"ours {precision}, landscape photos", {}, True),
            (f"ours {precision}, landscape photos in the square", square, True),
        ):
            found[name] = partial(ours, precision, name, serving, has_landscape)
        for n_tasks in (1, TASKS_IN_A_REQUEST):
            name = f"our ML backend {precision}, {n_tasks} a request"
            found[name] = partial(our_backend, precision, n_tasks, name)
    for kind in PEERS:
        if kind == "label-studio-ml":
            for n_tasks in (1, TASKS_IN_A_REQUEST):
                name = f"{kind}, {n_tasks} a request"
                found[name] = partial(peer, kind, 1, n_tasks, name)
            continue
        for workers in (1, 2):
            name = kind if workers == 1 else f"{kind}, 2 workers"
            found[name] = partial(peer, kind, workers, 1, name)
    return found
