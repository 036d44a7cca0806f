"""SAM networks of a few thousand random weights, to try the chain without a download."""

from pathlib import Path

TINY_SAM_KINDS = ('sam', 'sam_hq', 'sam2', 'sam3_tracker')
_SIDE, _WIDTH = 64, 16
_SPREAD = 1.0  # standard deviation of an output for inputs of deviation 1


def write_tiny_sam(folder: str | Path, *, kind: str = 'sam', seed: int = 0) -> None:
    """Write the weights of a tiny random network, as ``--weights`` reads them.

    Its masks mean nothing. The side of its input is 64 pixels (56 for SAM 3). Torch's global
    random state is left as it was.

    Args:
        folder: where ``save_pretrained`` of ``transformers`` writes.
        kind: one of :data:`TINY_SAM_KINDS`.
        seed: of the weights.

    Raises:
        ValueError: ``kind`` is unknown.
        ModuleNotFoundError: ``transformers`` is not installed.
    """
    import torch
    import transformers

    if kind not in TINY_SAM_KINDS:
        raise ValueError(f'expected kind to be one of {TINY_SAM_KINDS}, got {kind!r}')
    decoder = dict(
        hidden_size=_WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        mlp_dim=_WIDTH,
        iou_head_hidden_dim=_WIDTH,
    )
    prompt = dict(hidden_size=_WIDTH, image_size=_SIDE, mask_input_channels=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind in ('sam', 'sam_hq'):
            names = {'sam': ('SamConfig', 'SamModel'), 'sam_hq': ('SamHQConfig', 'SamHQModel')}
            config_type, model_type = (getattr(transformers, name) for name in names[kind])
            vision = dict(
                hidden_size=_WIDTH,
                output_channels=_WIDTH,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=_SIDE,
                patch_size=8,
                mlp_dim=_WIDTH,
                num_pos_feats=_WIDTH // 2,
                global_attn_indexes=[1],
                window_size=4,
            )
            prompt.update(patch_size=8, image_embedding_size=8)
            if kind == 'sam_hq':
                decoder['vit_dim'] = _WIDTH
        elif kind == 'sam2':
            config_type, model_type = transformers.Sam2Config, transformers.Sam2Model
            backbone = dict(
                model_type='sam2_hiera_det_model',
                hidden_size=8,
                image_size=[_SIDE, _SIDE],
                blocks_per_stage=[1, 1, 2, 1],
                embed_dim_per_stage=[8, 16, 24, 32],
                num_attention_heads_per_stage=[1, 1, 2, 2],
                window_size_per_stage=[4, 4, 4, 2],
                window_positional_embedding_background_size=[4, 4],
                global_attention_blocks=[3],
            )
            vision = dict(
                backbone_config=backbone,
                backbone_channel_list=[32, 24, 16, 8],
                backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
                fpn_hidden_size=_WIDTH,
            )
            prompt.update(patch_size=16)
        else:
            config_type, model_type = transformers.Sam3TrackerConfig, transformers.Sam3TrackerModel
            backbone = dict(
                model_type='sam3_vit_model',
                hidden_size=_WIDTH,
                intermediate_size=_WIDTH,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=56,
                pretrain_image_size=28,
                patch_size=14,
                window_size=2,
                global_attn_indexes=[1],
            )
            vision = dict(
                model_type='sam3_vision_model',
                backbone_config=backbone,
                fpn_hidden_size=_WIDTH,
                backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
            )
            prompt.update(image_size=56, patch_size=14)
        config = config_type(
            vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder
        )
        model = model_type(config)
        # their own initial values are so small that the masks would not depend on the image
        for weights in model.parameters():
            if weights.ndim > 1:
                torch.nn.init.normal_(weights, std=_SPREAD / weights[0].numel() ** 0.5)
        model.save_pretrained(str(folder))
