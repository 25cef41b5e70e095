"""Answer single photos by one model version that is fixed: what a batch needs."""

from __future__ import annotations

import threading
from typing import Any

from damageloop.services.serving.answer_damage import AnswerDamage, NoReadableImageError
from damageloop.services.serving.serving_champion import Serving


class SinglePhotos:
    """Implements `AnswerPhotos`; the evidence is kept as that of any other request."""

    def __init__(self, answer_damage: AnswerDamage, serving: Serving, api_key_id: int) -> None:
        self._answer_damage = answer_damage
        self._serving = serving
        self._api_key_id = api_key_id
        self._lock = threading.Lock()
        self._unkept: list[str] = []

    @property
    def n_parallel(self) -> int:
        """Return how many photos it is worth to have in work at a time."""
        return self._serving.detector.n_parallel

    def __call__(self, filename: str, content: bytes) -> dict[str, Any]:
        """Return `{"prediction": ..., "error": ...}` of one photo, one of them None."""
        seen = self._answer_damage.look_at(self._serving, filename, content)
        try:
            answer = self._answer_damage.sum_up(self._serving, [seen], api_key_id=self._api_key_id)
        except NoReadableImageError:
            error = seen.answer.error
            told = None if error is None else {"code": error.code, "message": error.message}
            return {"prediction": None, "error": told}
        with self._lock:
            self._unkept.append(answer["request_id"])
        return {"prediction": answer, "error": None}

    def flush(self) -> None:
        """Return when all evidence is in the database. Raises UnavailableError."""
        with self._lock:
            waiting, self._unkept = self._unkept, []
        for request_id in waiting:
            self._answer_damage.evidence.wait_until_kept(request_id)

    def close(self) -> None:
        """End what keeps the evidence, once it is written."""
        self._answer_damage.evidence.close()
