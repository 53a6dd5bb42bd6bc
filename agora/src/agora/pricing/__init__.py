"""Prices, promotions, demand and customers' standing."""
