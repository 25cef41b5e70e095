"""One page about the data that works without a network. Only `damageloop report` loads it: its libraries are heavy."""
