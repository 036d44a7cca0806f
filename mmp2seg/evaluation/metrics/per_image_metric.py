"""Base of metrics with one result per image, independent of how a sampler distributes images."""

import sys
from abc import abstractmethod

from mmengine.evaluator import BaseMetric


class PerImageMetric(BaseMetric):
    """Base of metrics with one result dict per image, which contains an ``image_id``.

    mmengine cuts the gathered results to the length of the dataset, which is right only if the
    copies that pad the last batch come last. This class gathers everything and uses the first
    result of each image, so it neither loses an image nor counts one twice.
    """

    def evaluate(self, size: int) -> dict:
        """Evaluate each image once, see ``BaseMetric.evaluate``; ``size`` is ignored."""
        return super().evaluate(sys.maxsize)

    def compute_metrics(self, results: list[dict]) -> dict:
        """Compute the figures from the results of all ranks."""
        first: dict[int, dict] = {}
        for result in results:
            first.setdefault(result['image_id'], result)
        return self.compute_over_images([first[image_id] for image_id in sorted(first)])

    @abstractmethod
    def compute_over_images(self, results: list[dict]) -> dict:
        """Compute the figures from one result per image, in the order of the image ids."""
