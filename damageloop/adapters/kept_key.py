"""An API key that the platform keeps in a file for itself: it follows when the key is renewed."""

from __future__ import annotations

import hmac
import logging

from damageloop.adapters.secrets import Secrets
from damageloop.domain.key import hash_of_key
from damageloop.errors import DamageloopError

ADMIN_KEY = "admin-api-key"

logger = logging.getLogger(__name__)


class KeptKeyFile:
    """Implements `KeptKey` with a file among the secrets."""

    def __init__(self, secrets: Secrets, name: str = ADMIN_KEY) -> None:
        self._secrets = secrets
        self._name = name

    def follow(self, old_hash: str, new_key: str) -> None:
        """Write the new key where the old one is kept. A file that can't be used is left alone, and logged."""
        try:
            if hmac.compare_digest(hash_of_key(self._secrets.read(self._name)), old_hash):
                self._secrets.write(self._name, new_key)
        except (DamageloopError, OSError) as exc:
            # The key has its successor by now, and the caller gets it: only the file needs a hand.
            logger.warning("the secret %s was not looked at or not renewed: %s", self._name, exc)
