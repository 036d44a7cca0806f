"""Pure tensor maths on torch, numpy, OpenCV and pycocotools: no state, config or mm package."""
