"""The networks of the Segment Anything family, through the library ``transformers``.

SAM (Kirillov et al. 2023), SAM-HQ, SAM 2, SAM 3's tracker and EdgeTAM share one interface there: an
image is embedded once, and a prompt of points gives three masks with a predicted IoU each.

``transformers`` is imported when weights are loaded. Its image processors of SAM 2 and later need
torchvision; :meth:`SamNetwork.embed` does what they do without it.

Dimensions: ``H, W`` pixels of the image; ``n`` prompts of ``p`` points each; ``C`` candidate masks
of a prompt (3); ``h, w`` cells of the network's masks.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmp2seg.models.pretrained import PretrainedWeightsError

# Networks whose input keeps the shape of the image and is padded; others are stretched to a square.
_PADDED = ('sam', 'sam_hq')
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Mean and standard deviation of the input where the folder of the weights does not give them.
_SAM3_NORM = (0.5, 0.5, 0.5)
_HUB_NAME = re.compile(r'[\w.-]+/[\w.-]+')


@dataclass(frozen=True)
class EmbeddedImage:
    """What the network computed of an image, for any prompts.

    Attributes:
        arguments: of the network's ``forward``, in place of the image.
        size: (H, W) of the image.
        input_size: (height, width) that it has in the network's input.
    """

    arguments: dict[str, Any]
    size: tuple[int, int]
    input_size: tuple[int, int]


class SamNetwork(nn.Module):
    """A network of the SAM family that turns points into candidate masks.

    Args:
        model: a model of ``transformers``' ``AutoModelForMaskGeneration``.
        mean: of the input's RGB channels, 0..1.
        std: their divisor.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        mean: Sequence[float] = _IMAGENET_MEAN,
        std: Sequence[float] = _IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        side = model.config.prompt_encoder_config.image_size
        self.input_side = int(side if isinstance(side, int) else side[0])
        self.keeps_shape = model.config.model_type in _PADDED
        self.register_buffer('_mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('_std', torch.tensor(std).view(3, 1, 1), persistent=False)
        self.eval()

    @torch.no_grad()
    def embed(self, image_rgb: npt.NDArray[np.uint8]) -> EmbeddedImage:
        """Run the image encoder.

        The image is resized with antialiasing: its longer side to the side of the input, then
        padded on the right and at the bottom; or both sides, for networks without padding.

        Args:
            image_rgb: ``(H, W, 3)`` uint8.
        """
        pixels, input_size = self._input(image_rgb)
        found = self.model.get_image_embeddings(pixels)
        arguments = {'image_embeddings': found}
        if isinstance(found, tuple):  # SAM-HQ
            arguments = dict(zip(('image_embeddings', 'intermediate_embeddings'), found))
        return EmbeddedImage(arguments, image_rgb.shape[:2], input_size)

    @torch.no_grad()
    def candidates(
        self,
        image: EmbeddedImage,
        points_xy: npt.NDArray[np.float64],
        is_object: npt.NDArray[np.bool_],
    ) -> tuple[Tensor, Tensor]:
        """Return the candidate masks of prompts.

        Args:
            image: of :meth:`embed`.
            points_xy: ``(n, p, 2)``, continuous ``(x, y)`` in the frame of the image.
            is_object: ``(n, p)``; False: the point is not on the object of its prompt.

        Returns:
            tuple: ``(n, C, h, w)`` logits in the frame of the input, see :meth:`to_image`, and
            ``(n, C)`` predicted IoUs; both float32 on the CPU.
        """
        scale = np.array(image.input_size[::-1]) / np.array(image.size[::-1])
        # the network takes indices of pixels and adds a half itself
        prompts = torch.from_numpy(points_xy * scale - 0.5).to(self._mean)
        output = self.model(
            input_points=prompts[None],
            input_labels=torch.from_numpy(is_object).to(self._mean.device, torch.int64)[None],
            multimask_output=True,
            **image.arguments,
        )
        return output.pred_masks[0].float().cpu(), output.iou_scores[0].float().cpu()

    def to_image(self, logits: Tensor, image: EmbeddedImage) -> Tensor:
        """Bring masks to the frame of the image.

        Args:
            logits: ``(C, h, w)``, of one prompt.

        Returns:
            Tensor: ``(C, H, W)``; a pixel above 0 is in the mask.
        """
        height, width = image.input_size
        if self.keeps_shape:
            side = (self.input_side, self.input_side)
            logits = F.interpolate(logits[None], side, mode='bilinear', align_corners=False)[0]
            logits = logits[:, :height, :width]
        return F.interpolate(logits[None], image.size, mode='bilinear', align_corners=False)[0]

    def _input(self, image_rgb: npt.NDArray[np.uint8]) -> tuple[Tensor, tuple[int, int]]:
        """Return the network's input ``(1, 3, side, side)`` and the size of the image in it."""
        height, width = image_rgb.shape[:2]
        size = (self.input_side, self.input_side)
        if self.keeps_shape:
            scale = self.input_side / max(height, width)
            size = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))
        # on the CPU: CUDA has no antialiasing of bytes, and floats would not be rounded
        pixels = torch.from_numpy(np.ascontiguousarray(image_rgb)).permute(2, 0, 1)
        pixels = F.interpolate(pixels[None], size, mode='bilinear', antialias=True)
        values = (pixels.to(self._mean) / 255 - self._mean) / self._std
        padding = (0, self.input_side - size[1], 0, self.input_side - size[0])
        return F.pad(values, padding), size


def load_sam(weights: str | Path, *, local_files_only: bool = False) -> SamNetwork:
    """Load a network of the SAM family.

    Args:
        weights: folder with ``config.json`` and ``model.safetensors``, as ``save_pretrained`` of
            ``transformers`` writes it, or a name on the Hugging Face hub, such as
            ``'facebook/sam-vit-huge'``.
        local_files_only: take a name on the hub from the cache of earlier downloads alone.

    Raises:
        PretrainedWeightsError: ``transformers`` is not installed, the weights cannot be read, are
            of another kind of network, or lack entries; the message says what to do.
    """
    try:
        import transformers
    except ModuleNotFoundError as error:
        if error.name != 'transformers':  # a package that it needs
            raise
        raise PretrainedWeightsError(
            "SAM needs the package transformers: pip install 'mmp2seg[sam]', or pip install "
            'transformers'
        ) from error
    if not Path(weights).is_dir() and not _HUB_NAME.fullmatch(str(weights)):
        raise PretrainedWeightsError(
            f'{weights}: no such folder of SAM weights, and no name on the hub such as '
            'facebook/sam-vit-huge'
        )
    options = dict(local_files_only=local_files_only)
    with _quiet(transformers):
        try:
            model, report = transformers.AutoModelForMaskGeneration.from_pretrained(
                str(weights), output_loading_info=True, **options
            )
        except Exception as error:  # no network, no file, another network, malformed weights, ...
            reason = str(error).strip().splitlines()[0] if str(error).strip() else ''
            raise PretrainedWeightsError(
                f'{weights}: the weights of SAM cannot be loaded ({type(error).__name__}: '
                f'{reason:.200}): give a folder of their files (config.json, model.safetensors), '
                'or a name on the hub and a network'
            ) from error
        norm = _norm_of(transformers, str(weights), model.config.model_type, options)
    missing = sorted([*report['missing_keys'], *map(str, report.get('mismatched_keys') or ())])
    if missing:
        raise PretrainedWeightsError(
            f'{weights}: expected the weights of {type(model).__name__}, {len(missing)} entries '
            f'are missing or have another shape, the first is {missing[0]:.100}'
        )
    return SamNetwork(model, **norm)


def _norm_of(
    transformers: Any, weights: str, model_type: str, options: dict[str, Any]
) -> dict[str, Sequence[float]]:
    """Return mean and std of the input, of the weights' folder or of the kind of network."""
    mixin = transformers.image_processing_base.ImageProcessingMixin
    try:
        content, _ = mixin.get_image_processor_dict(weights, **options)
    except OSError:  # a folder without preprocessor_config.json
        content = {}
    default = dict(mean=_IMAGENET_MEAN, std=_IMAGENET_STD)
    if model_type.startswith('sam3'):
        default = dict(mean=_SAM3_NORM, std=_SAM3_NORM)
    return {key: content.get(f'image_{key}') or value for key, value in default.items()}


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Hide the progress bars and warnings of ``transformers``; what matters is checked."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
