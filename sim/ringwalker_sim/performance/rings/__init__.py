"""The ring formats beside each other: the same loads on each, on the wire, in time and in area."""
