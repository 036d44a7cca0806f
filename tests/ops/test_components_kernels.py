"""The kernels of connected parts compile for GPUs, without one.

test_components_fused.py tests what they compute.
"""

import os

import pytest

POINTERS = {
    'join_runs_kernel': ('maps_ptr', 'parents_ptr'),
    'flatten_runs_kernel': ('maps_ptr', 'parents_ptr'),
    'measure_parts_kernel': ('maps_ptr', 'parents_ptr', 'roots_ptr', 'areas_ptr'),
    'largest_parts_kernel': ('maps_ptr', 'roots_ptr', 'areas_ptr', 'keys_ptr'),
}


@pytest.mark.parametrize('name', POINTERS)
@pytest.mark.parametrize('capability', [80, 90])
@pytest.mark.parametrize('ones', [(), ('size', 'height', 'width', 'frame', 'numbers')])
def test_a_kernel_compiles(monkeypatch, tmp_path, name, capability, ones):
    """Also where triton makes a constant of an argument, because it is 1."""
    pytest.importorskip('triton', minversion='3.3')
    if os.environ.get('TRITON_INTERPRET') == '1':
        pytest.skip('the interpreter does not compile')
    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    monkeypatch.setenv('TRITON_DEFAULT_FP_FUSION', '1')  # triton 3.9 warns if it is not set
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmp2seg.ops import components_fused, components_kernels

    kernel = getattr(components_kernels, name)
    looping = name in ('join_runs_kernel', 'flatten_runs_kernel')
    options = components_fused._LOOPING if looping else components_fused._STREAMING
    constants = dict(BLOCK=options['BLOCK'])
    constants |= {key: 1 for key in ones if key in kernel.arg_names}
    kinds = dict.fromkeys(kernel.arg_names, 'i32') | dict.fromkeys(POINTERS[name], '*i32')
    kinds |= {key: '*i64' for key in kinds if key == 'keys_ptr'}
    kinds |= dict.fromkeys(constants, 'constexpr')
    source = ASTSource(kernel, kinds, constexprs=constants)
    compiled = triton.compile(
        source,
        target=GPUTarget('cuda', capability, 32),
        options=dict(num_warps=options['num_warps']),
    )
    assert options['BLOCK'] == 32 * options['num_warps']
    assert compiled.metadata.shared == 0  # threads exchange no pixels
