"""What Alembic runs for each command: on the connection that `damageloop.adapters.database.migrate` hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from damageloop.adapters.database import gallery_tables, monitoring_tables, pricing_tables, record_tables, tables
from damageloop.adapters.database.base import Base, UtcDateTime

# Imported for what they add to the metadata.
_ = (gallery_tables, monitoring_tables, pricing_tables, record_tables, tables)


def _render_item(kind: str, item: Any, _autogen: AutogenContext) -> str | Literal[False]:
    # A revision must not change when the product's own types do, so it names SQLAlchemy's.
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite can't alter most of a table in place
    render_item=_render_item,
)
with context.begin_transaction():
    context.run_migrations()
