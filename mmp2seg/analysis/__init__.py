"""Measuring and inspecting: benchmarks, FLOPs, dataset checks, affinities."""
