"""What a ring format is: known to the walkers and to every format, and of none of them."""
