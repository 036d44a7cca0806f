"""The local page to click points on: points file, pictures, masks, server.

Only ``predictor`` imports torch and the mm packages, so that the page is there in a second.
"""
