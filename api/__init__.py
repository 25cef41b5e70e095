"""The HTTP interface: FastAPI parses, one service answers. Reaches no training, registry or drift library."""
