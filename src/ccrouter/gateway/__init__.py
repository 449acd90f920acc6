"""One exchange, end to end: from the bytes of a request to the last byte of its answer."""
