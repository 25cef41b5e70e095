"""A decoder that does on purpose what a broken one might: for the tests of those that start it."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from damageloop.adapters.photos.decoding_worker import Answer, answer, serve


def _answer(request: dict[str, Any], content: bytes) -> Answer:
    if b"CRASH" in content:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"SLEEP" in content:
        time.sleep(60)
    if b"COMPUTE" in content:
        while True:
            pass
    if b"HUNGER" in content:
        bytearray(2**40)
    if b"NONSENSE" in content:
        return {"shape": [2**30, 2**30, 3], "size_wh": [1, 1]}, b""
    if b"LIE" in content:
        return {"code": "<script>", "message": "line\nline"}, b""
    if b"ENVIRONMENT" in content:
        return {"code": "truncated", "message": " ".join(sorted(os.environ))}, b""
    if b"WRITE" in content:
        return _written(), b""
    return answer(request, content)


def _written() -> dict[str, Any]:
    """Try to leave something on the disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    path = f"/tmp/damageloop-decoder-{os.getpid()}"  # noqa: S108
    handle = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        os.write(handle, b"x")
    except OSError as exc:
        return {"code": "truncated", "message": f"refused: {exc.errno}"}
    finally:
        os.unlink(path)  # noqa: PTH108
    return {"code": "truncated", "message": "written"}


if __name__ == "__main__":
    serve(_answer)
