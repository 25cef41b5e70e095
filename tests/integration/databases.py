"""The kinds of databases that the product runs on, for modules that say `DATABASES = BOTH`; see `conftest`."""

from __future__ import annotations

import pytest

SQLITE, POSTGRESQL = "sqlite", "postgresql"
BOTH = (SQLITE, POSTGRESQL)
ON_SQLITE = pytest.mark.parametrize("database", [SQLITE], indirect=True)
