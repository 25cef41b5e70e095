"""Pure, frozen values and rules of the field: no disk, no network, no vendor library."""
