"""Stand-ins for the tools that other tools run.

A label file contains only its quality: .5 and .7 for pseudo labels of seeds 1 and 2, .1 more for
's2i_i2s'. The AP of a segmentor is half of the quality of its training labels, plus .05.
"""

FAKE_TOOL = """
import json, re, sys
from pathlib import Path
arguments = sys.argv[1:]
value_of = lambda option: Path(arguments[arguments.index(option) + 1])
folder = value_of('--work-dir') if '--work-dir' in arguments else None
"""
FAKE_TOOLS = {
    'train.py': """
(seed,) = (int(text[16:]) for text in arguments if text.startswith('randomness.seed='))
if (Path(__file__).parent / f'fail{seed}').exists():
    sys.exit('no luck')
folder.mkdir(parents=True)
(folder / 'last_checkpoint').write_text(str(seed))
""",
    'generate_pseudo_labels.py': """
bonus = 's2i_i2s' in arguments[0]
value_of('--out').parent.mkdir(parents=True)
value_of('--out').write_text(str(0.3 + 0.2 * int(arguments[1]) + 0.1 * bonus))
""",
    'analysis_tools/baseline_pseudo_labels.py': """
rule = arguments[arguments.index('--rule') + 1]
value_of('--out').parent.mkdir(parents=True)
value_of('--out').write_text(str(dict(nearest=0.2, component=0.1)[rule]))
""",
    'analysis_tools/eval_pseudo_labels.py': """
value = float(Path(arguments[0]).read_text())
figures = dict(num_objects=4, num_iou50=2, num_iou70=1, num_iou90=0, mean_iou=value)
figures.update(mean_iou_touching=value, found_touching_iou50=None)
value_of('--json').parent.mkdir(parents=True)
value_of('--json').write_text(json.dumps(figures))
""",
    'dataset_converters/make_shapes.py': """
truth = Path(arguments[0]) / 'annotations' / 'instances_train.json'
truth.parent.mkdir(parents=True)
truth.write_text('0.9')
""",
    'test.py': r"""
files = re.findall(r"ann_file=\s*'(.*?)'", Path(arguments[0]).read_text())
(labels,) = {name for name in files if 'instances_val' not in name}
value = 0.05 + float(Path(labels).read_text()) / 2
(folder / 'now').mkdir(parents=True)
figures = {'coco/segm_mAP': value, 'coco/segm_mAP_75': -1.0, 'voc/mAP50': 100 * value}
(folder / 'now' / 'now.json').write_text(json.dumps(figures))
""",
}
