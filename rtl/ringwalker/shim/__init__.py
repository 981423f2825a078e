"""What stands between our edge and a design that is not ours: AXI, and raw TLPs."""
