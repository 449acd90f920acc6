"""Fire practice: faults served to the router by an upstream of its own, and what a client sees of them."""
