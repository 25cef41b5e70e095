"""Whole HTTP requests in files, as the load generator sends them."""

from __future__ import annotations

import base64
import json
import shutil
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_BOUNDARY = "benchmark-boundary"
_FIRST_ANSWER_S = 60.0


def multipart(path: str, field: str, photos: Sequence[Path], headers: Mapping[str, str] | None = None) -> list[bytes]:
    """Return one request for each photo, which is its only part."""
    return [_multipart(path, field, photo.name, photo.read_bytes(), headers or {}) for photo in photos]


def as_json(path: str, bodies: Iterable[Any]) -> list[bytes]:
    """Return one request for each body."""
    return [_message(path, json.dumps(body).encode(), "application/json", {}) for body in bodies]


def base64_frames(photos: Sequence[Path]) -> list[dict[str, Any]]:
    """Return what MLflow's scoring server takes: a table with one column."""
    texts = [base64.b64encode(photo.read_bytes()).decode() for photo in photos]
    return [{"dataframe_split": {"columns": ["image"], "data": [[text]]}} for text in texts]


def tasks_bodies(tasks: Sequence[Mapping[str, Any]], n_each: int) -> list[dict[str, Any]]:
    """Return what Label Studio asks an ML backend, with so many tasks in each request."""
    turned = [*tasks, *tasks]
    firsts = range(0, len(tasks), n_each)
    return [
        {"tasks": turned[first : first + n_each], "project": "1.1", "label_config": "<View/>", "params": {}}
        for first in firsts
    ]


def write_requests(folder: Path, requests: Sequence[bytes]) -> Path:
    """Write the requests in order into an empty folder and return it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, request in enumerate(requests):
        (folder / f"{number:05d}.http").write_bytes(request)
    return folder


def is_answered(port: int, request: bytes) -> bool:
    """Send one request on a connection of its own and tell whether the answer is a 200."""
    return ask(port, request)[9:12] == b"200"


def ask(port: int, request: bytes) -> bytes:
    """Send one request on a connection of its own and return the whole answer; nothing when there is none."""
    closing = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    parts = []
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_FIRST_ANSWER_S) as connection:
            connection.sendall(closing)
            while part := connection.recv(2**16):
                parts.append(part)
    except OSError:
        return b""
    return b"".join(parts)


def _multipart(path: str, field: str, name: str, content: bytes, headers: Mapping[str, str]) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="{name}"'
    head = f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
    body = head + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return _message(path, body, f"multipart/form-data; boundary={_BOUNDARY}", headers)


def _message(path: str, body: bytes, content_type: str, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
