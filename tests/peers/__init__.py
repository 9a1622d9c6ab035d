"""Adapters against systems nobody here wrote; `make peers` runs these."""
