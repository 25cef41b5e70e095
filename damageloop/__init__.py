"""damageloop: an active-learning annotation platform for car damage. The core that every other package shares."""
