"""Changes of classes put together: the workspace's params.yaml, the database and Label Studio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from damageloop.bootstrap.core import Core
from damageloop.params import Params, parse_params
from damageloop.services.reviews.change_classes import ChangeClasses

# A params.yaml may be older than these.
_ADDABLE = frozenset({"labels.renamed", "labels.removed"})


def make_change_classes(core: Core) -> ChangeClasses:
    """Return the service on the parameters as they are now."""

    def write(values: Mapping[str, Any]) -> Params:
        from damageloop.adapters.params_file import changed_text, replace_text

        path = core.settings.params_file
        # What the file lacks and would only say "none" stays out of it.
        said = {name: value for name, value in values.items() if value or name not in _ADDABLE or _has(core, name)}
        text = changed_text(path, said, _ADDABLE)
        params = parse_params(yaml.safe_load(text), path.name)
        replace_text(path, text)
        return params

    def set_tool_labels(params: Params) -> bool:
        from damageloop.adapters.label_studio.setup import set_labels
        from damageloop.bootstrap.labeling_page import labeling_page, put_examples

        put_examples(params, core.settings)
        token, page = core.settings.label_studio_token.read_text().strip(), labeling_page(params, core.settings)
        return set_labels(core.settings.label_studio, token, core.tool_identity.project_id, page)

    return ChangeClasses(core.units, core.releases, core.clock, core.params, write, set_tool_labels)


def _has(core: Core, name: str) -> bool:
    content = yaml.safe_load(core.settings.params_file.read_text())
    return name.partition(".")[2] in content["labels"]
