"""Changes values in a params.yaml that people edit too: comments, order and quotes stay."""

from __future__ import annotations

import difflib
import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from damageloop.errors import InvalidInputError


def changed_text(path: Path, values: Mapping[str, Any], addable: Collection[str] = ()) -> str:
    """Return the file's text with some values replaced, by names as in `training.learning_rate`.

    Args:
        path: The file.
        values: A list or mapping is changed in place, so that it stays on one line where it was.
        addable: Names that the file need not have: it may be older than they are.

    Raises:
        InvalidInputError: If the file has no such parameter.
    """
    yaml = _yaml()
    content = yaml.load(path.read_text())
    for dotted, value in values.items():
        *sections, name = dotted.split(".")
        holder = content
        for section in sections:
            holder = holder.get(section) if isinstance(holder, dict) else None
        if not isinstance(holder, dict) or (name not in holder and dotted not in addable):
            raise InvalidInputError(f"{path.name} has no {dotted}.")
        _put(holder, name, value)
    written = io.StringIO()
    yaml.dump(content, written)
    return written.getvalue()


def difference(path: Path, text: str) -> str:
    """Return what writing the text would change, as a unified diff; empty when nothing."""
    lines = difflib.unified_diff(
        path.read_text().splitlines(), text.splitlines(), path.name, path.name, n=1, lineterm=""
    )
    return "\n".join(lines)


def replace_text(path: Path, text: str) -> None:
    """Write the file so that it is whole at any moment."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def _put(holder: Any, name: str, value: Any) -> None:
    held = holder.get(name)
    if name not in holder:
        # First: what follows a section, such as an empty line, belongs to its last value.
        holder.insert(0, name, value)
    elif isinstance(held, list) and isinstance(value, list):
        held[:] = []
        held.extend(value)
    elif isinstance(held, dict) and isinstance(value, dict):
        for key in [key for key in held if key not in value]:
            del held[key]
        held.update(value)
    else:
        holder[name] = value


def _yaml() -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Writes `null` where ruamel.yaml would write nothing at all."""

    Representer.add_representer(type(None), lambda own, _: own.represent_scalar("tag:yaml.org,2002:null", "null"))
    yaml = YAML()
    yaml.Representer = Representer
    yaml.preserve_quotes = True
    # No line of the file is broken anew.
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
