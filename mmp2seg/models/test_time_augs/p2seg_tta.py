"""Test-time augmentation of stage 1: the maps of resized and flipped copies are averaged."""

from collections.abc import Sequence

import torch
from mmdet.structures import DetDataSample, SampleList
from mmengine.model import BaseTTAModel
from torch import Tensor

from mmp2seg.registry import MODELS


@MODELS.register_module()
class P2SegTTA(BaseTTAModel):
    """A P2Seg whose semantic probabilities and offsets are means over copies of the image.

    Every copy's maps are brought back to the original frame, flips undone (a horizontal one turns
    the sign of dx); their mean is decoded once. The copies come from a pipeline that ends with
    ``mmcv.TestTimeAug`` of mmdet's ``Resize`` and ``RandomFlip`` and ``PackPointInputs``.
    ``test_cfg`` is the module's.

    Args:
        module: config of a :class:`mmp2seg.models.P2Seg`, or the built one.
        data_preprocessor: as of :class:`mmengine.model.BaseTTAModel`.
    """

    def test_step(self, data: dict) -> SampleList:
        """Predict a batch.

        Args:
            data: ``inputs`` and ``data_samples``, for each copy a list over the images.

        Returns:
            list[DetDataSample]: the first copy's, with the fields that P2Seg's ``predict`` adds.
        """
        copies = [dict(zip(data, values)) for values in zip(*data.values(), strict=True)]
        predictions = []
        for copy in copies:
            copy = self.module.data_preprocessor(copy, False)
            maps = self.module.predict_maps(copy['inputs'], copy['data_samples'])
            predictions.append(zip(copy['data_samples'], maps))
        return self.merge_preds(list(zip(*predictions)))

    def merge_preds(
        self,
        data_samples_list: Sequence[Sequence[tuple[DetDataSample, tuple[Tensor, Tensor]]]],
    ) -> SampleList:
        """Average the maps of each image's copies and decode them.

        Args:
            data_samples_list: for each image its copies, each a sample and its maps in the original
                frame, as of :meth:`mmp2seg.models.P2Seg.predict_maps`.

        Returns:
            list[DetDataSample]: for each image the first copy's.
        """
        merged = []
        for copies in data_samples_list:
            sample = copies[0][0]
            probs, offset = (torch.stack(maps).mean(dim=0) for maps in zip(*(m for _, m in copies)))
            self.module.decode_maps(sample, probs, offset)
            merged.append(sample)
        return merged
