"""Which route a request takes, and which targets can serve it. Pure: no I/O, no clock, no logging."""
