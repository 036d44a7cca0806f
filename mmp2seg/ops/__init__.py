"""Pure tensor maths: torch, numpy, OpenCV and pycocotools; no state, no config, no mm package."""
