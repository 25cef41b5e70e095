"""Takes paths out of sentences that were written for people at this machine."""

from __future__ import annotations

import re

# A path from the root with at least one folder; the slash of an address (`http://`) or of a share (`3/4`) is none.
_PATH = re.compile(r"(?<![\w:/.])/(?:[\w.@+\-]+/)+(?P<name>[\w.@+\-]*)")


def without_paths(text: str) -> str:
    """Return the text with each absolute path cut to its last name: `/a/b/model.xml` becomes `…/model.xml`."""
    return _PATH.sub(r"…/\g<name>", text)
