"""Query strategies: one module for each published method, each with a function `select`."""
