"""What several pages are put together from. Facts in, plain values out; no I/O."""
