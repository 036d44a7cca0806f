"""The evaluator component that turns the predictions of stage 1 into the labels of stage 2."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from mmengine.logging import print_log

from mmp2seg.evaluation.metrics.per_image_metric import PerImageMetric
from mmp2seg.evaluation.metrics.prediction_encoding import (
    check_each_point_once,
    encode_dropped,
    encode_predictions,
)
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.json_reading import read_json_object, require_keys
from mmp2seg.pseudo_labels.coco_json import assemble, category_ids_of
from mmp2seg.registry import METRICS
from mmp2seg.version import __version__

DROP_REASONS = ('duplicate', 'outside_image', 'no_region', 'no_pixels')


@METRICS.register_module()
class PseudoLabelWriter(PerImageMetric):
    """Write ``pred_instances`` of all ranks as one COCO json that mmdet trains on unchanged.

    Masks are run-length encoded as they arrive. The file is the same for any number of ranks.
    Figures: ``num_images``, ``num_instances``, ``num_dropped`` and ``num_dropped_<reason>``.

    Args:
        outfile: The json to write; an existing one is replaced once all of the new one is there.
        ann_file: COCO json whose ``images`` and ``categories`` are taken over as they are (its
            annotations are not read). Without it the images are those of the results and the
            categories are ``1..K`` in the order of the data set's classes.
        collect_device: See mmengine's ``BaseMetric``.
        prefix: See mmengine's ``BaseMetric``.
        collect_dir: See mmengine's ``BaseMetric``.

    Raises:
        ValueError: ``outfile`` is not named ``*.json``; ``ann_file`` is malformed or lacks an image
            or a class of the data set; a mask does not have the size of its image.
    """

    default_prefix = 'pseudo_labels'

    def __init__(
        self,
        outfile: str,
        *,
        ann_file: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if not str(outfile).endswith('.json'):
            raise ValueError(f'expected outfile to end with .json, got {outfile!r}')
        self.outfile = outfile
        self.ann_file = ann_file
        self._images: list[dict] | None = None
        self._categories: list[dict] | None = None
        if ann_file is not None:
            content = read_json_object(ann_file, lists=('images', 'categories'))
            keys = ('id', 'file_name', 'height', 'width')
            require_keys(ann_file, 'images', content['images'], keys)
            require_keys(ann_file, 'categories', content['categories'], ('id', 'name'))
            self._images, self._categories = content['images'], content['categories']

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Encode the instances and dropped points of a batch of data samples."""
        category_ids = category_ids_of(self.categories, self._classes)
        for data_sample in data_samples:
            annotations = encode_predictions(data_sample, category_ids)
            dropped = encode_dropped(data_sample, category_ids)
            check_each_point_once(data_sample, annotations, dropped)
            height, width = data_sample['ori_shape'][:2]
            self.results.append(
                {
                    'image_id': data_sample['img_id'],
                    'file_name': data_sample.get('file_name'),
                    'height': int(height),
                    'width': int(width),
                    'annotations': annotations,
                    'dropped': dropped,
                }
            )

    def compute_over_images(self, results: list[dict]) -> dict:
        """Write the file and count what it holds."""
        annotations = [ann for result in results for ann in result['annotations']]
        dropped = [point for result in results for point in result['dropped']]
        images = [_image_entry(result) for result in results]
        if self._images is not None:
            images = self._images
            self._compare_images(results)
        info = {'description': 'pseudo labels from points', 'version': f'mmp2seg {__version__}'}
        try:
            content = assemble(images, self.categories, annotations, dropped, info)
        except ValueError as error:
            source = self.ann_file or 'the results'
            raise ValueError(f'{self.outfile}: not written, images of {source}: {error}') from error
        write_json(self.outfile, content)
        print_log(f'{len(annotations)} pseudo labels written to {self.outfile}', logger='current')
        reasons = Counter(dict.fromkeys(DROP_REASONS, 0))
        reasons.update(point['reason'] for point in dropped)
        return {
            'num_images': len(images),
            'num_instances': len(annotations),
            'num_dropped': len(dropped),
            **{f'num_dropped_{reason}': count for reason, count in reasons.items()},
        }

    @property
    def categories(self) -> list[dict]:
        """COCO categories of the file."""
        if self._categories is not None:
            return self._categories
        if self._classes is None:
            raise ValueError(
                'expected ann_file or classes in the metainfo of the data set, got none'
            )
        return [{'id': index, 'name': name} for index, name in enumerate(self._classes, start=1)]

    @property
    def _classes(self) -> Sequence[str] | None:
        return (self.dataset_meta or {}).get('classes')

    def _compare_images(self, results: list[dict]) -> None:
        name_of_id = {image['id']: image['file_name'] for image in self._images}
        for result in results:
            name, known = result['file_name'], name_of_id.pop(result['image_id'], None)
            if None not in (name, known) and PurePath(name).name != PurePath(known).name:
                raise ValueError(
                    f'{self.ann_file}: image {result["image_id"]} is {known}, the tested one is '
                    f'{name}: expected the file of the tested images'
                )
        if name_of_id:
            print_log(
                f'{self.ann_file}: no result for {len(name_of_id)} of {len(self._images)} images, '
                f'they stay without pseudo labels: {next(iter(name_of_id.values()))} ...',
                logger='current',
                level=logging.WARNING,
            )


def _image_entry(result: dict) -> dict:
    return {
        'id': result['image_id'],
        'file_name': result['file_name'],
        'height': result['height'],
        'width': result['width'],
    }
