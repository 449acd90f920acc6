"""What models cost: a catalogue, the user's own figures over it, and the cost of an answer."""
