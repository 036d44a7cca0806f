"""Stop a test or a training whose checkpoint is of another network or of other classes."""

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mmp2seg.files.image_folder import shorten_names
from mmp2seg.models.pretrained import (
    WrongCheckpointError,
    require_entries,
    unmet_entries,
    weight_entries,
)
from mmp2seg.registry import HOOKS

_SHOWN_PARTS = 5


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
        source, state = _content(runner, checkpoint)
        network = _innermost(runner.model)
        unused = tuple(getattr(network, 'unused_at_inference', ()))
        require_entries(network, state, source=source, unused=unused)
        trained = _classes((checkpoint.get('meta') or {}).get('dataset_meta'))
        given = _data_classes(runner.test_loop)
        if trained and given and trained != given:
            raise WrongCheckpointError(_describe_classes(source, trained, given, data='test'))


@HOOKS.register_module()
class CheckedStartHook(Hook):
    """Check the checkpoint that a training starts from or resumes; a test is left alone.

    A training that resumes needs all weights. One that starts from the weights of another network,
    as ``load_from`` is used for fine-tuning, needs some of them, and a warning says in one line
    which others stay as they were initialised.
    """

    priority = 'VERY_LOW'  # after hooks that change the weights of a checkpoint, such as EMA's

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the checkpoint before it is copied to the network.

        Raises:
            WrongCheckpointError: a resumed network lacks an entry; no entry fits; or the classes
                are those of the training data in another order.
        """
        if not isinstance(runner._train_loop, BaseLoop):
            return
        source, state = _content(runner, checkpoint)
        network = _innermost(runner.model)
        if runner._resume:
            require_entries(network, state, source=source)
        state = {name.removeprefix('module.'): value for name, value in state.items()}
        unmet, number = unmet_entries(network, state), len(weight_entries(network))
        if number and len(unmet) == number:
            raise WrongCheckpointError(
                f'{source}: expected weights of this network, none of its {number} entries, such '
                f'as {unmet[0]}, is in the file, which has {shorten_names(list(state), shown=1)} '
                "(weights of a backbone: init_cfg=dict(type='Pretrained', checkpoint=...) of the "
                'backbone)'
            )
        trained = _classes((checkpoint.get('meta') or {}).get('dataset_meta'))
        given = _data_classes(runner._train_loop)
        if trained and given and trained != given:
            if sorted(trained) == sorted(given):
                text = _describe_classes(source, trained, given, data='training')
                raise WrongCheckpointError(text)
            runner.logger.warning(
                f'{source}: trained on other classes: {shorten_names(trained)}; the training data '
                f'have {shorten_names(given)}'
            )
        if unmet:
            parts = dict.fromkeys(name.rpartition('.')[0] or name for name in unmet)
            runner.logger.warning(
                f'{source}: {len(unmet)} of {number} entries of the network are not in the file, '
                'or have another shape there, and start as initialised: '
                f'{shorten_names(list(parts), shown=_SHOWN_PARTS)}'
            )


def _content(runner: Runner, checkpoint: dict) -> tuple[str, dict]:
    """Return the name of a checkpoint and its weights."""
    source = str(getattr(runner, '_load_from', None) or 'checkpoint')
    return source, checkpoint.get('state_dict', checkpoint)


def _describe_classes(source: str, trained: list[str], given: list[str], *, data: str) -> str:
    return (
        f'{source}: expected the classes that it was trained on, in their order: '
        f'{shorten_names(trained)}; the {data} data have {shorten_names(given)}'
    )


def _innermost(model: nn.Module) -> nn.Module:
    """Return the network inside of wrappers, of processes or of test-time augmentation."""
    while isinstance(getattr(model, 'module', None), nn.Module):
        model = model.module
    return model


def _data_classes(loop: BaseLoop) -> list[str] | None:
    dataset = getattr(getattr(loop, 'dataloader', None), 'dataset', None)
    return _classes(getattr(dataset, 'metainfo', None))


def _classes(metainfo: dict | None) -> list[str] | None:
    classes = (metainfo or {}).get('classes')
    return None if classes is None or isinstance(classes, str) else list(classes)
