import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmp2seg.label_studio.server import LabelStudioServer

from .tool_runs import run_tool

SEGMENTER = (
    "default_scope = 'mmdet'\nmodel = dict(type='mmp2seg.PointSegmenter', long_side=64,\n"
    "    backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)))\n"
)


def fail(capsys, *arguments):
    """Run a command that fails, and return its message."""
    with pytest.raises(SystemExit) as info:
        run_tool('label_studio_backend', '--port', 0, *arguments)
    return capsys.readouterr().err + str(info.value.code)


def test_a_labelling_config_is_printed_without_the_sdk(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'label_studio_sdk', None)
    run_tool('label_studio_backend', '--print-config', 'cat', 'dog')
    assert capsys.readouterr().out.count('<Label value="dog"') == 2


def test_mistakes_are_named(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    message = fail(capsys)
    assert message.startswith(
        'label_studio_backend.py: error: the Label Studio backend needs the package '
        "label-studio-sdk: pip install 'label-studio-sdk>="
    )
    assert '\n' not in message
    monkeypatch.setattr('mmp2seg.label_studio.sdk.require_sdk', lambda: None)
    assert '--checkpoint needs --config' in fail(capsys, '--checkpoint', 'a.pth')
    assert 'gone: no such folder' in fail(capsys, '--local-files-root', tmp_path / 'gone')
    assert 'config not found: nothing' in fail(capsys, '--config', 'nothing')
    server = LabelStudioServer()
    with server:
        port = server.server_address[1]
        assert f'--host, --port: 127.0.0.1:{port} cannot be used (' in fail(capsys, '--port', port)


def test_a_click_is_answered_by_the_command(tmp_path, monkeypatch, capsys):
    brush = pytest.importorskip('label_studio_sdk.converter.brush')
    monkeypatch.chdir(tmp_path)
    Path('segmenter.py').write_text(SEGMENTER)
    cv2.imwrite('a.png', np.full((41, 67, 3), 90, np.uint8))
    run_tool('label_studio_backend', '--print-config', 'cat')
    config = capsys.readouterr().out
    keypoint = dict(
        id='k',
        type='keypointlabels',
        from_name='point',
        to_name='image',
        original_width=67,
        original_height=41,
        image_rotation=0,
        is_positive=True,
        value=dict(x=100, y=50, width=0.3, keypointlabels=['cat']),
    )
    body = dict(
        tasks=[dict(id=1, data=dict(image='/data/local-files/?d=a.png'))],
        label_config=config,
        params=dict(context=dict(result=[keypoint])),
    )
    answers = []
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def serve(server):
        while len(answers) < 2:
            path, content = (('setup', dict(schema=config)), ('predict', body))[len(answers)]
            request = urllib.request.Request(
                f'{server.url}/{path}', json.dumps(content).encode(), method='POST'
            )
            with ThreadPoolExecutor(1) as pool:
                answer = pool.submit(lambda r=request: opener.open(r, timeout=20).read())
                server.handle_request()
                answers.append(json.loads(answer.result()))
        raise KeyboardInterrupt

    monkeypatch.setattr(LabelStudioServer, 'serve_forever', serve)
    run_tool(
        'label_studio_backend',
        *('--port', 0, '--device', 'cpu', '--config', 'segmenter.py', '--local-files-root', '.'),
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == answers[0]['model_version'] and lines[0].endswith(' segmenter')
    assert lines[-1] == 'ended'
    (region,) = answers[1]['results'][0]['result']
    mask = brush.decode_rle(region['value']['rle']).reshape(41, 67, 4)[..., 3] > 0
    assert region['value']['brushlabels'] == ['cat'] and mask[20, 66]
