"""Pure functions on tensors and arrays (torch, numpy, OpenCV, pycocotools).

They have no state and read no config; no mm package is imported.
"""
