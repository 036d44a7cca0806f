import contextlib
import os

import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmp2seg.files.safe_checkpoints import UnsafeCheckpointError, require_weights


class Attack:
    def __reduce__(self):
        return os.system, ('touch attacked',)


@pytest.mark.parametrize('new_format', [True, False])
def test_python_objects_are_named_and_not_run(tmp_path, monkeypatch, new_format):
    monkeypatch.chdir(tmp_path)
    content = dict(state_dict=dict(w=torch.zeros(2)), meta=Attack())
    torch.save(content, 'x.pth', _use_new_zipfile_serialization=new_format)
    with pytest.raises(UnsafeCheckpointError, match=r'^x\.pth: expected weights.*system.*--trust'):
        require_weights('x.pth')
    assert not os.path.exists('attacked')


@pytest.mark.parametrize('new_format', [True, False])
def test_what_mmengine_saves_passes(tmp_path, new_format):
    history = HistoryBuffer()
    history.update(1.5)
    content = dict(state_dict=dict(w=torch.zeros(2)), message_hub=dict(loss=history))
    torch.save(content, tmp_path / 'x.pth', _use_new_zipfile_serialization=new_format)
    require_weights(tmp_path / 'x.pth')


@pytest.mark.parametrize('content', [b'', b'no checkpoint', b'PK\x03\x04broken'])
def test_other_files_are_left_to_the_loader(tmp_path, content):
    (tmp_path / 'x.pth').write_bytes(content)
    require_weights(tmp_path / 'x.pth')


def test_zips_that_are_broken_anywhere_are_left_to_the_loader(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save(dict(w=torch.zeros(2)), path)
    content = path.read_bytes()
    for place in range(0, len(content), 7):  # the names, the pickle, the index at the end
        path.write_bytes(content[:place] + b'\xff' + content[place + 1 :])
        with contextlib.suppress(UnsafeCheckpointError):  # a name became another
            require_weights(path)
