"""Computations of the metrics in numpy and pycocotools; import the modules themselves."""
