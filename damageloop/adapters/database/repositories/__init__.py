"""One repository per aggregate; each maps rows to the frozen values of the domain."""
