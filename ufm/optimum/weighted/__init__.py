"""The rescaled squared loss at p = 2: a weighted fit with the nuclear norm, certified by duality."""
