"""One conversation through every dialect and back: the same message, up to the ledger."""
