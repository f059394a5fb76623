"""Definitions of the field's observables, one file per family; plain arrays in, plain arrays out."""
