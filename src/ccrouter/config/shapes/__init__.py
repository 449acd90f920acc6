"""The shapes a file may have, one module each; both give a `Draft`. They know no other shape and resolve no names."""
