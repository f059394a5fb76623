"""Optima told by groups of exchangeable classes: K = 10^6 classes in three sizes are a problem of three."""
