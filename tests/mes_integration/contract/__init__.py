"""The common contract: what holds for every adapter, against a peer of its own kind."""
