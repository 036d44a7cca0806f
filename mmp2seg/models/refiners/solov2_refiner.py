"""SOLOv2 that knows that its labels are pseudo labels."""

from mmdet.models.detectors import SOLOv2
from mmdet.structures import DetDataSample
from torch import Tensor

from mmp2seg.models.refiners.head_types import with_type
from mmp2seg.models.refiners.pseudo_label_weights import PseudoLabelWeights
from mmp2seg.registry import MODELS


@MODELS.register_module()
class SOLOv2Refiner(SOLOv2):
    """mmdet's SOLOv2, with options for pseudo labels.

    With all of them off it is mmdet's detector, number for number. With one on, the mask head is
    :class:`~mmp2seg.models.refiners.PseudoLabelSOLOV2Head` in place of mmdet's ``SOLOV2Head``.
    Parameters have mmdet's names, so mmdet's checkpoints load.

    Args:
        score_weight: exponent of an instance's score in the weight of its mask loss.
        ignore_border: width of the zone between two masks of one class that does not count in the
            mask loss, as of :class:`~mmp2seg.models.refiners.PseudoLabelWeights`.
        ignore_semantic: pixels of the semantic map that do not count in the mask loss, as there.
        others: as of mmdet's ``SOLOv2``.

    Raises:
        ValueError: an option outside its range, or one that is on for another mask head.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        bbox_head: dict | None = None,
        mask_head: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        *,
        score_weight: float = 0.0,
        ignore_border: int = 0,
        ignore_semantic: str | None = None,
    ) -> None:
        weights = PseudoLabelWeights(
            score_weight=score_weight, ignore_border=ignore_border, ignore_semantic=ignore_semantic
        )
        if weights.is_on:
            mask_head = with_type(mask_head, 'PseudoLabelSOLOV2Head', instead_of='SOLOV2Head')
        super().__init__(
            backbone=backbone,
            neck=neck,
            bbox_head=bbox_head,
            mask_head=mask_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.pseudo_label_weights = weights

    def loss(self, batch_inputs: Tensor, batch_data_samples: list[DetDataSample]) -> dict:
        """mmdet's losses, weighted by what the options make of the pseudo labels."""
        if self.pseudo_label_weights.is_on:
            self.pseudo_label_weights.attach(batch_data_samples)
        return super().loss(batch_inputs, batch_data_samples)
