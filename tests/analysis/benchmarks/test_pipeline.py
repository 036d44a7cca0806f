from pathlib import Path

from mmp2seg.analysis.benchmarks import pipeline

CONFIG = Path(__file__).resolve().parents[3] / 'configs' / 'p2seg' / 'hrnet48_voc.py'


def test_every_image_goes_through_the_training_pipeline(tmp_path):
    root = tmp_path / 'shapes'
    pipeline.write_images(root, num_images=3, size=(40, 56))
    options = dict(config=str(CONFIG), cfg_options={}, root=str(root))
    assert pipeline.make_pipeline_call(options)() == 3
