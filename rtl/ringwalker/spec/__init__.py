"""Facts of the specifications: offsets, bits, layouts. Tables and structs only, no logic."""
