"""Measure and inspect: benchmarks, FLOPs, data set checks, semantic mIoU, affinities."""
