"""The projections: for each read model, what every fact does to it."""
