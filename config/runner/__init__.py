"""Starts and keeps everything one plant needs on one machine: `python -m config.runner up`."""
