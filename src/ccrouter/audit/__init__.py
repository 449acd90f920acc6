"""The audit trail: one line a decision, each sealed with the hash of the one before."""
