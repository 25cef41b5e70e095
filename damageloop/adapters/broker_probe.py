"""Asks a broker whether it answers, and which version it is. Sends no message."""

from __future__ import annotations

from typing import Any

from kombu import Connection
from kombu.exceptions import KombuError

from damageloop.errors import UnavailableError

TIMEOUT_S = 5


def broker_version(url: str) -> str:
    """Return name and version of the broker at a `redis://` or `amqp://` address, such as `Redis 7.0.15`.

    Raises:
        UnavailableError: If it does not answer.
    """
    try:
        return _redis(url) if url.startswith("redis") else _other(url)
    except (KombuError, OSError) as exc:
        raise UnavailableError(f"The broker does not answer ({type(exc).__name__}).") from exc


def _redis(url: str) -> str:
    import redis

    client = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    try:
        return f"Redis {client.info('server')['redis_version']}"
    except redis.RedisError as exc:
        raise UnavailableError(f"Redis does not answer ({type(exc).__name__}).") from exc
    finally:
        client.close()


def _other(url: str) -> str:
    with Connection(url, connect_timeout=TIMEOUT_S) as connection:
        connection.ensure_connection(max_retries=1, timeout=TIMEOUT_S)
        told: Any = getattr(connection.connection, "server_properties", {})
        return " ".join(str(told.get(name, "")) for name in ("product", "version")).strip() or "answers"
