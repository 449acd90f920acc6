"""Several processes that serve one port as one: who starts them, what carries their messages, how they are heard."""
