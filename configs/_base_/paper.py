# The paper's model settings, or those of the released code where the paper does not state one.
# A config merges them into its model: `model = _base_.paper`. S stands for the semantic scores
# propagated by the affinity.
paper = dict(
    # The smallest region and the weight of the offset loss are in the models' configs.
    labeler=dict(
        conflict='nearest',  # paper: distance separation
        offset_target='point',  # paper
    ),
    mdm_loss=dict(
        lambda_s2i=1.0,  # paper
        lambda_i2s=1.0,  # paper
        loss_semantic=dict(ratio=0.2),  # paper
        loss_offset=dict(beta=0.0),  # released code: plain L1
        loss_affinity=dict(background='ignore', loss_weight=1.0),  # paper
    ),
    distiller=dict(
        instance_scorer=None,  # ours
        refine_begin=1,  # released code
        rounds=1,  # paper
        beta=1.0,  # paper: the best of table 10
        threshold=0.0,  # paper: every pair propagates
        radius=None,  # paper
        semantic_input='network',  # released code: the network's own scores
        network_weight=0.0,  # paper: S alone
        semantic_use='offset',  # paper: the next instance map is cut from S
        propagate_begin=1,
    ),
    test_cfg=dict(
        decoder=dict(
            _delete_=True,  # no scorer: that is ours
            type='mmp2seg.InstanceDecoder',
            grouping='offset',  # paper: points first
            landing_weight=1.0,  # paper: by where the offset lands
            anchor='point',  # paper: distances to the annotated point
            max_landing_distance=1e4,  # released code: no limit
        ),
        rounds=1,  # released code: scores are propagated once
        use_weak_map=False,  # paper
        network_weight=0.0,  # paper: S alone
    ),
)
