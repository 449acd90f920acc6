"""How a request is said and an answer read, for each wire format. Pure: no I/O, and no dialect knows another."""
