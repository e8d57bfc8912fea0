"""Sweeps: grids of networks trained many at a time, stored as they end, resumed, inspected."""
