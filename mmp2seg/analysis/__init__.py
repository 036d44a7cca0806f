"""Measure and inspect: benchmarks, FLOPs, dataset checks, semantic mIoU, affinities."""
