"""The networks of transformers against its own processors, with tiny random weights."""

import sys

import numpy as np
import pytest
import torch

from mmp2seg.models.pretrained import PretrainedWeightsError
from mmp2seg.segmenters.sam_network import load_sam
from mmp2seg.testing.tiny_sam import TINY_SAM_KINDS, write_tiny_sam


@pytest.fixture(scope='module')
def transformers():
    return pytest.importorskip('transformers', reason='transformers (extra sam) is not installed')


@pytest.fixture(scope='module')
def folder_of(transformers, tmp_path_factory):
    """Folder of the weights of each kind of network that this version of transformers has."""

    def find(kind):
        folder = tmp_path_factory.getbasetemp() / f'sam-{kind}'
        if not folder.exists():
            if kind == 'sam3_tracker' and not hasattr(transformers, 'Sam3TrackerModel'):
                pytest.skip('this version of transformers has no SAM 3')
            write_tiny_sam(folder, kind=kind)
        return folder

    return find


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (40, 90, 3), dtype=np.uint8)


# ----------------------------------------------------------------------- against transformers


def image_processor(transformers, side=64):
    """The one without torchvision, by its name in transformers 5 or 4."""
    try:
        from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil as kind
    except ImportError:
        kind = transformers.SamImageProcessor
    return kind(size=dict(longest_edge=side), pad_size=dict(height=side, width=side))


@pytest.mark.parametrize('kind', ['sam', 'sam_hq'])
@pytest.mark.parametrize('size', [(45, 67), (67, 45), (33, 33)])
def test_input_prompts_and_masks_are_those_of_the_processor(transformers, folder_of, kind, size):
    image = np.random.default_rng(1).integers(0, 255, (*size, 3), dtype=np.uint8)
    network = load_sam(folder_of(kind))
    processor = transformers.SamProcessor(image_processor(transformers))
    pixels = [[10, 12], [30, 7], [31, 32]]  # column and row
    inputs = processor(
        image,
        input_points=[[[list(map(float, pixel))] for pixel in pixels]],
        input_labels=[[[1]] * len(pixels)],
        return_tensors='pt',
    )
    mine, input_size = network._input(image)
    # torch and Pillow round a tenth of the resized bytes differently, by one
    one_level = 1 / 255 / min(network._std.flatten().tolist()) + 1e-6
    torch.testing.assert_close(mine, inputs['pixel_values'].float(), atol=one_level, rtol=0)
    inputs['pixel_values'] = mine
    assert list(input_size) == inputs['reshaped_input_sizes'][0].tolist()

    # its prompts are indices of pixels, scaled, plus a half of a pixel of the input
    scale = np.array(input_size[::-1]) / np.array(size[::-1])
    points = (np.array(pixels) * scale + 0.5) / scale
    embedded = network.embed(image)
    logits, scores = network.candidates(embedded, points[:, None], np.ones((3, 1), bool))
    with torch.no_grad():
        expected = network.model(**{k: v.float() if k != 'input_labels' else v
                                    for k, v in inputs.items() if 'sizes' not in k})  # fmt: skip
    torch.testing.assert_close(logits, expected.pred_masks[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores, expected.iou_scores[0], atol=1e-4, rtol=1e-4)
    logits = torch.randn(logits.shape, generator=torch.manual_seed(0))
    (masks,) = processor.image_processor.post_process_masks(
        logits[None],
        inputs['original_sizes'],
        inputs['reshaped_input_sizes'],
        binarize=False,
    )
    found = torch.stack([network.to_image(each, embedded) for each in logits])
    torch.testing.assert_close(found, masks, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('kind', ['sam2', 'sam3_tracker'])
def test_the_input_of_later_networks_is_a_square(transformers, folder_of, image, kind):
    """Against their own processor, which needs torchvision, where that is installed."""
    network = load_sam(folder_of(kind))
    pixels, size = network._input(image)
    side = 64 if kind == 'sam2' else 56
    assert size == (side, side) and pixels.shape == (1, 3, side, side)
    assert network.to_image(torch.zeros(3, 16, 16), network.embed(image)).shape == (3, 40, 90)
    pytest.importorskip('torchvision')
    processors = dict(sam2='Sam2ImageProcessor', sam3_tracker='Sam3ImageProcessor')
    processor = getattr(transformers, processors[kind])(size=dict(height=side, width=side))
    expected = processor(image, return_tensors='pt')['pixel_values']
    torch.testing.assert_close(pixels, expected, atol=1e-5, rtol=0)


def place_of(embedding, network, point):
    """What the prompt encoder is given for one point, as a share of the input."""
    seen = []
    shared = network.model.prompt_encoder.shared_embedding
    hook = shared.register_forward_pre_hook(
        lambda module, arguments: seen.append(arguments[0].clone())
    )
    network.candidates(embedding, np.array([[point]]), np.ones((1, 1), bool))
    hook.remove()
    return seen[0][0, 0, 0] / network.input_side


@pytest.mark.parametrize('kind', TINY_SAM_KINDS)
def test_a_point_keeps_its_place_in_the_image(folder_of, image, kind):
    """The corners of the image are the corners of its part of the input, not half a pixel off."""
    network = load_sam(folder_of(kind))
    embedded = network.embed(image)
    height, width = np.array(embedded.input_size) / network.input_side
    for x, y in ((0, 0), (90, 40), (45, 10)):
        found = place_of(embedded, network, (float(x), float(y)))
        np.testing.assert_allclose(found, [x / 90 * width, y / 40 * height], atol=1e-6)


@pytest.mark.parametrize('kind', TINY_SAM_KINDS)
def test_prompts_do_not_depend_on_those_beside_them(folder_of, image, kind):
    network = load_sam(folder_of(kind))
    embedded = network.embed(image)
    points = np.random.default_rng(2).uniform(0, 40, (5, 3, 2))
    is_object = np.zeros((5, 3), bool)
    is_object[:, 0] = True
    logits, scores = network.candidates(embedded, points, is_object)
    for n in range(5):
        alone = network.candidates(embedded, points[n : n + 1], is_object[n : n + 1])
        torch.testing.assert_close(logits[n : n + 1], alone[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(scores[n : n + 1], alone[1], atol=1e-4, rtol=1e-4)
    is_object[:, 1] = True
    assert not torch.equal(network.candidates(embedded, points, is_object)[0], logits)


def test_mean_and_std_are_those_of_the_folder(folder_of, tmp_path):
    assert load_sam(folder_of('sam'))._mean.flatten().tolist() == pytest.approx(
        [0.485, 0.456, 0.406]
    )
    folder = tmp_path / 'other'
    write_tiny_sam(folder)
    text = '{"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 2, 3]}'
    (folder / 'preprocessor_config.json').write_text(text)
    network = load_sam(folder)
    assert network._mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert network._std.flatten().tolist() == [1, 2, 3]


def test_loading_is_quiet_and_leaves_the_settings(transformers, folder_of, capfd):
    logging = transformers.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    network = load_sam(folder_of('sam'))
    assert capfd.readouterr() == ('', '')
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert not network.training and not any(p.requires_grad for p in network.parameters())


# ------------------------------------------------------------------------------- what is missing


def test_without_transformers(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(PretrainedWeightsError, match=r'SAM needs the package transformers: pip'):
        load_sam(tmp_path)


def test_a_folder_that_is_not_there(transformers, tmp_path):
    with pytest.raises(PretrainedWeightsError, match='no such folder of SAM weights'):
        load_sam(tmp_path / 'none')


def test_a_folder_without_weights(transformers, tmp_path):
    with pytest.raises(PretrainedWeightsError, match=r'cannot be loaded \(.*: give a folder'):
        load_sam(tmp_path)


def test_a_name_on_the_hub_that_is_not_in_the_cache(transformers, monkeypatch, tmp_path):
    monkeypatch.setenv('HF_HOME', str(tmp_path))
    with pytest.raises(PretrainedWeightsError, match=r'nobody/nothing-at-all: .* cannot be loaded'):
        load_sam('nobody/nothing-at-all', local_files_only=True)


def test_weights_of_another_kind_of_network(transformers, tmp_path):
    (tmp_path / 'config.json').write_text('{"model_type": "bert"}')
    with pytest.raises(PretrainedWeightsError, match=r'cannot be loaded \(ValueError'):
        load_sam(tmp_path)


def test_weights_that_lack_entries(transformers, tmp_path):
    from safetensors.torch import load_file, save_file

    write_tiny_sam(tmp_path)
    path = tmp_path / 'model.safetensors'
    state = load_file(path)
    for name in [name for name in state if 'iou_prediction_head' in name]:
        del state[name]
    save_file(state, path, metadata=dict(format='pt'))
    with pytest.raises(
        PretrainedWeightsError, match=r'SamModel, \d+ entries are missing .*iou_pred'
    ):
        load_sam(tmp_path)
