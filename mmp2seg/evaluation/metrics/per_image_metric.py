"""A metric whose results are one entry per image, whatever sampler dealt the images out."""

import sys
from abc import abstractmethod

from mmengine.evaluator import BaseMetric


class PerImageMetric(BaseMetric):
    """Base of metrics with one result dict, with an ``image_id``, per image.

    mmengine cuts the gathered results to the length of the data set, which is right only where
    the copies that pad the last batch come last. Here everything is gathered, and of several
    results of an image the first one counts: no image is lost and none counts twice.
    """

    def evaluate(self, size: int) -> dict:
        """As ``BaseMetric.evaluate``, over each image once; ``size`` is not needed for it."""
        return super().evaluate(sys.maxsize)

    def compute_metrics(self, results: list[dict]) -> dict:
        """Figures of the results of all ranks."""
        first: dict[int, dict] = {}
        for result in results:
            first.setdefault(result['image_id'], result)
        return self.compute_over_images([first[image_id] for image_id in sorted(first)])

    @abstractmethod
    def compute_over_images(self, results: list[dict]) -> dict:
        """Figures of the results, one per image, in the order of the image ids."""
