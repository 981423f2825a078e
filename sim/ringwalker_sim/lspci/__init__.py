"""A PCI function in words, in the manner of lspci."""
