"""Laws that hold for any input, beyond those that stand beside the code of each part."""
