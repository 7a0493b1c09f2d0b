"""Runs as jobs: how they are launched, stopped, listed in grids and queued."""
