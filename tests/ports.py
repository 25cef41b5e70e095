"""Ports for the servers that tests start."""

from __future__ import annotations

from benchmarks.ports import free_ports

__all__ = ["free_port", "free_ports"]


def free_port() -> int:
    """Return a port that nobody listens on now."""
    return free_ports(1)[0]
