"""Devices in plain Python, for transports that have no hardware behind them."""
