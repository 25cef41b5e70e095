"""One outside system per module. Adapters translate vendor errors into ours and never call each other's vendors."""
