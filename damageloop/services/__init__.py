"""Use cases, one a module: they know domain, ports and parameters, and no vendor."""
