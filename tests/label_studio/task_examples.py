"""Labelling configs, tasks and keypoints, in the shapes that Label Studio 1.23 sends."""

CONFIG = """
<View>
  <Image name="image" value="$photo" zoom="true"/>
  <KeyPointLabels name="point" toName="image" smart="true">
    <Label value="block"/><Label value="bar"/><Label value="background"/>
  </KeyPointLabels>
  <BrushLabels name="mask" toName="image">
    <Label value="bar"/><Label value="block"/>
  </BrushLabels>
</View>
"""
IMAGE = dict(type='Image', valueType=None, value='photo')


def tag(kind, *labels, to_name='image', source=IMAGE):
    """What the SDK makes of a control tag."""
    return dict(
        type=kind,
        to_name=[to_name],
        inputs=[source],
        labels=list(labels),
        labels_attrs={label: dict(value=label) for label in labels},
    )


# CONFIG, parsed
TAGS = dict(
    point=tag('KeyPointLabels', 'block', 'bar', 'background'),
    mask=tag('BrushLabels', 'bar', 'block'),
)


def keypoint(x, y, label='block', *, size=(48, 64), name='point', **more):
    """A keypoint at a place in pixels, with the size (H, W) that Label Studio showed."""
    height, width = size
    return (
        dict(
            original_width=width,
            original_height=height,
            image_rotation=0,
            value=dict(x=x / width * 100, y=y / height * 100, width=0.319, keypointlabels=[label]),
            id=f'k{x:g}_{y:g}',
            from_name=name,
            to_name='image',
            type='keypointlabels',
            origin='manual',
        )
        | more
    )


def predict_body(*tasks, config=CONFIG, clicks=None):
    """The body of a request; ``clicks`` are those of a user, None asks for stored tasks."""
    context = None if clicks is None else dict(result=list(clicks))
    return dict(
        tasks=list(tasks),
        project='1.1700000000',
        label_config=config,
        params=dict(login=None, password=None, context=context),
    )
