"""The PCI function: configuration space, BARs, completer, MSI-X and INTx."""
