"""Test loop of a label run, which leaves out the images that an interrupted run has finished."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.dist import get_dist_info
from mmengine.logging import print_log
from mmengine.runner import TestLoop
from torch.utils.data import Sampler

from mmp2seg.pseudo_labels.shards import finished_images
from mmp2seg.registry import DATA_SAMPLERS, LOOPS


@DATA_SAMPLERS.register_module()
class UnfinishedSampler(Sampler):
    """Indices of the images of a dataset that are not labelled yet, in the batches of a whole run.

    Process r of n has the images r, r + n, ..., each once. A batch is left out when all of its
    images are finished: the results of a network can depend, in the last bits, on what is in a
    batch, so the other batches are those of a run without interruption. That holds for the same
    number of processes; another number is possible.

    Args:
        dataset: the images and points.
        outfile: the json of the labels.
        settings: what else the results depend on, as plain json types.
        batch_size: of the data loader.
        seed: not used, the argument of every sampler.

    Attributes:
        run: settings and a checksum of the images' names and points; see
            :func:`mmp2seg.pseudo_labels.shards.finished_images`.
    """

    def __init__(
        self,
        dataset: BaseDataset,
        *,
        outfile: str,
        settings: Mapping[str, Any],
        batch_size: int = 1,
        seed: int | None = None,
    ) -> None:
        ids, checksum = _read_dataset(dataset)
        self.run = {**settings, 'points': checksum}
        finished = finished_images(outfile, self.run)
        rank, num_processes = get_dist_info()
        own = range(rank, len(ids), num_processes)
        self.indices = [
            index
            for start in range(0, len(own), batch_size)
            if not all(ids[index] in finished for index in own[start : start + batch_size])
            for index in own[start : start + batch_size]
        ]
        if finished:
            print_log(f'{len(finished)} of {len(ids)} images were finished before', 'current')

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


@LOOPS.register_module()
class LabelLoop(TestLoop):
    """mmengine's TestLoop, whose evaluator keeps the labels of an interrupted run.

    The sampler of the dataloader is an :class:`UnfinishedSampler`, and the only metric of the
    evaluator a :class:`mmp2seg.evaluation.metrics.PseudoLabelWriter`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.evaluator.metrics[0].resume(self.dataloader.sampler.run)


def _read_dataset(dataset: BaseDataset) -> tuple[list, str]:
    """Return the ids of the images, and a checksum of their names and points."""
    ids, checksum = [], hashlib.sha256()
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        ids.append(info['img_id'])
        paths = [os.path.abspath(info[key] or '') for key in ('img_path', 'seg_map_path')]
        checksum.update(repr((info['img_id'], paths, info['instances'])).encode())
    return ids, checksum.hexdigest()
