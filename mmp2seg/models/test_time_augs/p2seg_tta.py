"""Test-time augmentation of stage 1: average the maps of resized and flipped copies."""

from collections.abc import Sequence

import torch
from mmdet.structures import DetDataSample, SampleList
from mmengine.model import BaseTTAModel

from mmp2seg.models.detectors.p2seg import ImageMaps
from mmp2seg.registry import MODELS


@MODELS.register_module()
class P2SegTTA(BaseTTAModel):
    """Average the semantic scores and offsets of P2Seg over copies of the image.

    The maps of each copy are brought back to the original frame, with flips undone (a horizontal
    flip changes the sign of dx). The decoder of the module decodes the mean once.

    In a config, this is the ``tta_model``. The ``tta_pipeline`` makes the copies: it ends with
    ``mmcv.TestTimeAug``, which applies mmdet's ``Resize``, mmdet's ``RandomFlip`` and
    ``PackPointInputs``. The option ``--tta`` of the tools enables it.

    Args:
        module: a :class:`mmp2seg.models.P2Seg` or its config.
        data_preprocessor: see :class:`mmengine.model.BaseTTAModel`.
    """

    def test_step(self, data: dict) -> SampleList:
        """Predict a batch.

        Args:
            data: ``inputs`` and ``data_samples``; each contains, for every copy, a list over the
                images.

        Returns:
            list[DetDataSample]: the sample of each image's first copy, with the fields that P2Seg's
            ``predict`` adds.
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
        data_samples_list: Sequence[Sequence[tuple[DetDataSample, ImageMaps]]],
    ) -> SampleList:
        """Average the maps of each image's copies and decode them.

        Args:
            data_samples_list: for each image, a list of its copies. A copy is a sample and its maps
                in the original frame, see :meth:`mmp2seg.models.P2Seg.predict_maps`.

        Returns:
            list[DetDataSample]: the sample of each image's first copy.
        """
        merged = []
        for copies in data_samples_list:
            sample = copies[0][0]
            # maps that the decoder does not use are None in all copies
            means = (
                None if of_kind[0] is None else torch.stack(of_kind).mean(dim=0)
                for of_kind in zip(*(maps for _, maps in copies), strict=True)
            )
            self.module.decode_maps(sample, ImageMaps(*means))
            merged.append(sample)
        return merged
