"""The ring walker: from a doorbell to a walked chain, and from a finished chain to its interrupt."""
