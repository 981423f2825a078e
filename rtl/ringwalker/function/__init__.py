"""What the device is for. A function sees a chain as bytes and knows nothing of rings."""
