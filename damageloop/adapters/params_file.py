"""Changes values in a params.yaml that people edit too: comments, order and quotes stay."""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from damageloop.errors import InvalidInputError


def changed_text(path: Path, values: Mapping[str, Any]) -> str:
    """Return the file's text with some values replaced, by names as in `training.learning_rate`.

    Raises:
        InvalidInputError: If the file has no such parameter.
    """
    yaml = _yaml()
    content = yaml.load(path.read_text())
    for dotted, value in values.items():
        section, _, name = dotted.partition(".")
        if section not in content or name not in content[section]:
            raise InvalidInputError(f"{path.name} has no {dotted}.")
        content[section][name] = value
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
