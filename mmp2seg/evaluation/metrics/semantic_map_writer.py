"""SemanticMapWriter: the predicted semantic maps of a test run as weak maps to train on."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from mmp2seg.evaluation.metrics.per_image_metric import PerImageMetric
from mmp2seg.files.image_folder import relative_stem
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.registry import METRICS

_IGNORE = 255


@METRICS.register_module()
class SemanticMapWriter(PerImageMetric):
    """Write one PNG per image that the point datasets read as the image's weak map.

    Values: 0 background, ``k + 1`` class ``k``, 255 where the prediction is not sure or ignored.
    The map of the image ``a/b.jpg`` is ``<folder>/a/b.png``. Every process writes the maps of its
    own images as they arrive; a map is complete or not there. Maps of other images in the folder
    are kept. A :class:`mmp2seg.models.P2Seg` predicts maps with ``test_cfg.return_maps=True``.

    Figures: ``num_maps``, and ``ignored``, the share of 255 in all pixels, in percent with two
    decimals (nan without pixels).

    Args:
        folder: folder of the maps; it is created.
        min_confidence: pixels with a lower confidence become 255. 0 keeps all pixels.
        source_name: field of the data samples with ``sem_seg``, the ``(1, H, W)`` int values in the
            frame of the image file, and, optionally, ``confidence``, the ``(1, H, W)`` float
            probability of these values. Without ``confidence`` all pixels are kept, with a warning.
        collect_device, prefix, collect_dir: arguments of mmengine's ``BaseMetric``.

    Raises:
        ValueError: ``min_confidence`` is not in 0..1. At the first sample that does not fit: it has
            no map, a map of another size than the image, a value outside 0..255, or an image whose
            map would be outside of ``folder``. At the end: two images have the same map.
    """

    default_prefix = 'semantic_maps'

    def __init__(
        self,
        folder: str,
        *,
        min_confidence: float = 0.6,
        source_name: str = 'pred_sem_seg',
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if not 0 <= min_confidence <= 1:
            raise ValueError(f'expected min_confidence in 0..1, got {min_confidence}')
        self.folder = Path(folder)
        self.min_confidence = min_confidence
        self.source_name = source_name

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Write the maps of a batch of data samples."""
        for data_sample in data_samples:
            file_name = data_sample['file_name']
            name = relative_stem(file_name)
            semantic_map, has_confidence = self._semantic_map(data_sample, file_name)
            write_palette_png(self.folder / f'{name}.png', semantic_map)
            self.results.append(
                {
                    'image_id': data_sample['img_id'],
                    'file_name': file_name,
                    'name': name,
                    'num_pixels': semantic_map.size,
                    'num_ignored': int((semantic_map == _IGNORE).sum()),
                    'has_confidence': has_confidence,
                }
            )

    def compute_over_images(self, results: list[dict]) -> dict:
        """Count the maps and their pixels."""
        images: dict[str, str] = {}
        for result in results:
            other = images.setdefault(result['name'], result['file_name'])
            if other != result['file_name']:
                raise ValueError(
                    f'{self.folder / result["name"]}.png: expected the map of one image, got '
                    f'{other} and {result["file_name"]}'
                )
        unsure = sum(not result['has_confidence'] for result in results)
        if self.min_confidence > 0 and unsure:
            print_log(
                f'{self.folder}: the model gave no confidence for {unsure} of {len(results)} maps: '
                'they have a value at every pixel',
                logger='current',
                level=logging.WARNING,
            )
        num_pixels = sum(result['num_pixels'] for result in results)
        num_ignored = sum(result['num_ignored'] for result in results)
        print_log(f'{len(results)} semantic maps written to {self.folder}', logger='current')
        return {
            'num_maps': len(results),
            'ignored': round(100 * num_ignored / num_pixels, 2) if num_pixels else float('nan'),
        }

    def _semantic_map(self, data_sample: dict, file_name: str) -> tuple[np.ndarray, bool]:
        """Return the ``(H, W)`` uint8 map of a sample, and whether it has a confidence."""
        source = data_sample.get(self.source_name)
        if source is None or 'sem_seg' not in source:
            raise ValueError(
                f'{file_name}: expected {self.source_name}.sem_seg in the results, got none '
                '(model.test_cfg.return_maps=True adds it)'
            )
        values = _plane(source['sem_seg'])
        size = tuple(map(int, data_sample['ori_shape'][:2]))
        if values.shape != size:
            raise ValueError(
                f'{file_name}: expected a map of {size[1]} x {size[0]} pixels like the image, got '
                f'{values.shape[1]} x {values.shape[0]}'
            )
        if values.size and (values.min() < 0 or values.max() > _IGNORE):
            raise ValueError(
                f'{file_name}: expected map values in 0..255, got {values.min()}..{values.max()}'
            )
        semantic_map = values.astype(np.uint8)
        confidence = source.get('confidence')
        if confidence is not None:
            # written so that nan is not sure either
            semantic_map[~(_plane(confidence) >= self.min_confidence)] = _IGNORE
        return semantic_map, confidence is not None


def _plane(field: Tensor) -> np.ndarray:
    """Return a ``(1, H, W)`` field as a ``(H, W)`` array."""
    return field.detach().cpu().numpy()[0]
