"""`python -m damageloop` is the `damageloop` command."""

from damageloop.cli import main

main()
