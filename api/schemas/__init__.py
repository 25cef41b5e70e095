"""What routes take and answer, by group of routes. Names are fixed: fields may be added, never renamed."""
