"""Runs the ML backend: one process with threads, `python -m ml_backend.server`.

`app` is a factory, so that importing this module creates nothing.
"""

from __future__ import annotations

import argparse
import logging

import waitress
from flask import Flask

from damageloop.bootstrap.ml_backend import build_source, read_password
from damageloop.settings import Settings
from ml_backend.application import create_app

THREADS = 8
MAX_BODY_BYTES = 64 * 1024 * 1024


def app() -> Flask:
    """Return the application of this process, built from the environment."""
    settings = Settings()
    source = build_source(settings)
    return create_app(source, source.former_names, read_password(settings))


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="ml_backend.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    arguments = parser.parse_args()
    settings = Settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    source = build_source(settings)
    application = create_app(source, source.former_names, read_password(settings))
    waitress.serve(
        application,
        host=arguments.host,
        port=settings.ml_backend_port,
        threads=THREADS,
        max_request_body_size=MAX_BODY_BYTES,
        ident=None,
    )


if __name__ == "__main__":
    main()
