"""The kernels of guided propagation compile for GPUs, without one.

test_guided_fused.py tests what they compute.
"""

import os

import pytest

POINTERS = {
    'neighbor_weights_kernel': {
        'image_ptr': '*fp32',
        'valid_ptr': '*u8',
        'steps_ptr': '*i32',
        'near_ptr': '*fp32',
        'weights_ptr': '*fp32',
    },
    'propagation_step_kernel': {
        'scores_ptr': '*fp32',
        'weights_ptr': '*fp32',
        'steps_ptr': '*i32',
        'fixed_ptr': '*u8',
        'result_ptr': '*fp32',
    },
}
CONSTANTS = {
    'neighbor_weights_kernel': dict(NEIGHBORS=24, CHANNELS=3, PADDED=4, HAS_VALID=True, BLOCK=128),
    'propagation_step_kernel': dict(NEIGHBORS=24, MAPS=4, HAS_FIXED=True, BLOCK=128),
}


@pytest.mark.parametrize('name', POINTERS)
@pytest.mark.parametrize('capability', [80, 90])
def test_a_kernel_compiles(monkeypatch, tmp_path, name, capability):
    pytest.importorskip('triton', minversion='3.3')
    if os.environ.get('TRITON_INTERPRET') == '1':
        pytest.skip('the interpreter does not compile')
    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    monkeypatch.setenv('TRITON_DEFAULT_FP_FUSION', '1')  # triton 3.9 warns if it is not set
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmp2seg.ops.affinity import guided_kernels

    kernel = getattr(guided_kernels, name)
    constants = CONSTANTS[name]
    kinds = dict.fromkeys(kernel.arg_names, 'i32') | POINTERS[name]
    kinds |= dict.fromkeys(constants, 'constexpr')
    kinds |= {key: 'fp32' for key in ('color_scale', 'root') if key in kinds}
    source = ASTSource(kernel, kinds, constexprs=constants)
    compiled = triton.compile(source, target=GPUTarget('cuda', capability, 32))
    assert compiled.metadata.shared <= 48 * 1024
