"""Stop a test whose checkpoint is of another network or of other classes."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmp2seg.files.image_folder import shorten_names
from mmp2seg.models.pretrained import WrongCheckpointError, require_entries
from mmp2seg.registry import HOOKS


@HOOKS.register_module()
class CheckedWeightsHook(Hook):
    """Check that a checkpoint has all weights of the network and the classes of the test data.

    mmengine loads what fits and goes on with random weights for the rest, with a warning.
    Networks say what a test does not need by ``unused_at_inference``, prefixes of entries.
    """

    priority = 'VERY_LOW'  # after hooks that change the weights of a checkpoint, such as EMA's

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the checkpoint before it is copied to the network.

        Raises:
            WrongCheckpointError: it lacks entries, or has them in other shapes, or its classes are
                not those of the test data.
        """
        source = str(getattr(runner, '_load_from', None) or 'checkpoint')
        network = _innermost(runner.model)
        state = checkpoint.get('state_dict', checkpoint)
        unused = tuple(getattr(network, 'unused_at_inference', ()))
        require_entries(network, state, source=source, unused=unused)
        trained = ((checkpoint.get('meta') or {}).get('dataset_meta') or {}).get('classes')
        given = _test_classes(runner)
        if trained and given and list(trained) != list(given):
            raise WrongCheckpointError(
                f'{source}: expected the classes that it was trained on, in their order: '
                f'{shorten_names(list(trained))}; the test data have {shorten_names(list(given))}'
            )


def _innermost(model: nn.Module) -> nn.Module:
    """Return the network inside of wrappers, of processes or of test-time augmentation."""
    while isinstance(getattr(model, 'module', None), nn.Module):
        model = model.module
    return model


def _test_classes(runner: Runner) -> list[str] | None:
    dataset = getattr(getattr(runner.test_loop, 'dataloader', None), 'dataset', None)
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    return None if classes is None or isinstance(classes, str) else list(classes)
