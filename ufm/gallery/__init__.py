"""One file a figure: where its data come from. `draw(spec, witnesses)` gathers records and formulae for `ufm.plot`."""
