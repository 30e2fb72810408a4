"""Numbers about a model: what it costs, what a position of it sees, which parts it has."""
