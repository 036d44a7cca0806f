"""PseudoLabelWriter: the predictions of stage 1 as labels for stage 2."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from mmengine.logging import print_log

from mmp2seg.codecs import DROP_REASONS
from mmp2seg.evaluation.metrics.per_image_metric import PerImageMetric
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.json_reading import read_json_object, require_keys
from mmp2seg.pseudo_labels.coco_json import assemble, category_ids_of, encode_image
from mmp2seg.registry import METRICS
from mmp2seg.version import __version__


@METRICS.register_module()
class PseudoLabelWriter(PerImageMetric):
    """Write ``pred_instances`` of all ranks as one COCO json that mmdet trains on unchanged.

    Masks are run-length encoded as they arrive. The file is the same for any number of ranks.
    Figures: ``num_images``, ``num_instances``, ``num_dropped`` and ``num_dropped_<reason>``.

    Args:
        outfile: the json to write. An existing file is replaced only when the new one is complete.
        ann_file: COCO json whose ``images`` and ``categories`` are copied (its annotations are not
            read). Without it the images are those of the results and the categories are ``1..K`` in
            the order of the dataset's classes.
        collect_device, prefix, collect_dir: arguments of mmengine's ``BaseMetric``.

    Raises:
        ValueError: if ``outfile`` is not named ``*.json``, or ``ann_file`` is malformed. At the
            first sample that does not fit: if ``ann_file`` lacks its image or a class of the
            dataset, or has another file name or size for the image.
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
        self._images: dict[int, dict] | None = None
        self._categories: list[dict] | None = None
        if ann_file is not None:
            content = read_json_object(ann_file, lists=('images', 'categories'))
            keys = ('id', 'file_name', 'height', 'width')
            require_keys(ann_file, 'images', content['images'], keys)
            require_keys(ann_file, 'categories', content['categories'], ('id', 'name'))
            self._images = {image['id']: image for image in content['images']}
            self._categories = content['categories']
            if len(self._images) < len(content['images']):
                raise ValueError(f'{ann_file}: expected image ids that differ, got one twice')

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Encode the instances and dropped points of a batch of data samples."""
        category_ids = category_ids_of(self.categories, self._classes)
        for data_sample in data_samples:
            image = self._image_entry(data_sample)
            annotations, dropped = encode_image(data_sample, category_ids)
            self.results.append(
                {
                    'image_id': image['id'],
                    'image': image,
                    'annotations': annotations,
                    'dropped': dropped,
                }
            )

    def compute_over_images(self, results: list[dict]) -> dict:
        """Write the file and count what it holds."""
        annotations = [ann for result in results for ann in result['annotations']]
        dropped = [point for result in results for point in result['dropped']]
        images = [result['image'] for result in results]
        if self._images is not None:
            images = list(self._images.values())
            self._warn_of_missing_results(results)
        info = {'description': 'pseudo labels from points', 'version': f'mmp2seg {__version__}'}
        try:
            content = assemble(images, self.categories, annotations, dropped, info)
        except ValueError as error:
            source = self.ann_file or 'the results'
            raise ValueError(f'{self.outfile}: not written, images of {source}: {error}') from error
        write_json(self.outfile, content)
        print_log(f'{len(annotations)} pseudo labels written to {self.outfile}', logger='current')
        counts = Counter(point['reason'] for point in dropped)
        return {
            'num_images': len(images),
            'num_instances': len(annotations),
            'num_dropped': len(dropped),
            **{f'num_dropped_{reason}': counts[reason] for reason in DROP_REASONS},
        }

    @property
    def categories(self) -> list[dict]:
        """COCO categories of the file."""
        if self._categories is not None:
            return self._categories
        if self._classes is None:
            raise ValueError(
                'expected ann_file or classes in the metainfo of the dataset, got none'
            )
        return [{'id': index, 'name': name} for index, name in enumerate(self._classes, start=1)]

    @property
    def _classes(self) -> Sequence[str] | None:
        return (self.dataset_meta or {}).get('classes')

    def _image_entry(self, data_sample: dict) -> dict:
        """COCO entry of the image of a sample, checked against ``ann_file``."""
        image_id, file_name = data_sample['img_id'], data_sample.get('file_name')
        height, width = map(int, data_sample['ori_shape'][:2])
        entry = {'id': image_id, 'file_name': file_name, 'height': height, 'width': width}
        if self._images is None:
            return entry
        listed = self._images.get(image_id)
        if listed is None:
            raise ValueError(
                f'{self.ann_file}: image {image_id} ({file_name}) is not among its images: '
                'expected the file of the tested images'
            )
        known = listed['file_name']
        if file_name is not None and PurePath(file_name).name != PurePath(known).name:
            raise ValueError(
                f'{self.ann_file}: image {image_id} is {known}, the tested one is {file_name}: '
                'expected the file of the tested images'
            )
        if (listed['height'], listed['width']) != (height, width):
            raise ValueError(
                f'{self.ann_file}: image {image_id} ({known}): expected {width} x {height} pixels, '
                f'the size of the image file, got {listed["width"]} x {listed["height"]}'
            )
        return listed

    def _warn_of_missing_results(self, results: list[dict]) -> None:
        seen = {result['image_id'] for result in results}
        missing = [image['file_name'] for key, image in self._images.items() if key not in seen]
        if missing:
            print_log(
                f'{self.ann_file}: no result for {len(missing)} of {len(self._images)} images, '
                f'they stay without pseudo labels: {missing[0]} ...',
                logger='current',
                level=logging.WARNING,
            )
