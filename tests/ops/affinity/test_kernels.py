"""The kernels compile for GPUs, without one, in the sizes they are launched with.

test_fused.py tests what they compute.
"""

import os

import pytest

from mmp2seg.ops.affinity import fused

# Shared memory of a program by compute capability (CUDA C++ programming guide, table of
# technical specifications): 99 KB of sm_86 and sm_89, 227 KB of sm_90.
SHARED_MEMORY = {86: 99 * 1024, 90: 227 * 1024}
POINTERS = {
    'pair_loss_kernel': {
        'terms_ptr': '*bf16',
        'codes_ptr': '*i32',
        'weights_ptr': '*fp32',
        'num_active_ptr': '*i32',
        'order_ptr': '*i32',
        'loss_ptr': '*fp32',
        'grad_ptr': '*fp32',
    },
    'propagation_kernel': {'terms_ptr': '*bf16', 'values_ptr': '*bf16', 'sums_ptr': '*fp32'},
}


@pytest.fixture
def compile_kernel(monkeypatch, tmp_path):
    """Compile a kernel for a compute capability; returns the compiled kernel's metadata."""
    pytest.importorskip('triton', minversion='3.3')
    if os.environ.get('TRITON_INTERPRET') == '1':
        pytest.skip('the interpreter does not compile')
    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    monkeypatch.setenv('TRITON_DEFAULT_FP_FUSION', '1')  # triton 3.9 warns if it is not set
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmp2seg.ops.affinity import kernels

    def compile_for(capability, name, blocks, **constants):
        kernel = getattr(kernels, name)
        constants |= dict(BLOCK_ROWS=blocks.rows, BLOCK_COLS=blocks.cols)
        kinds = dict.fromkeys(kernel.arg_names, 'i32') | POINTERS[name]
        kinds |= dict.fromkeys(constants, 'constexpr')
        kinds |= {key: 'fp32' for key in ('beta', 'threshold') if key in kinds}
        aligned = {
            (index,): [['tt.divisibility', 16]]
            for index, key in enumerate(kernel.arg_names)
            if kinds[key] == 'i32' or kinds[key].startswith('*')
        }
        source = ASTSource(kernel, kinds, constexprs=constants, attrs=aligned)
        options = dict(num_warps=blocks.num_warps, num_stages=blocks.num_stages)
        target = GPUTarget('cuda', capability, 32)
        return triton.compile(source, target=target, options=options).metadata

    return compile_for


@pytest.mark.parametrize(('capability', 'terms'), [(90, 1), (90, 3), (86, 3)])
def test_pair_loss_of_256_channels_fits(compile_kernel, capability, terms):
    limit = SHARED_MEMORY[capability]
    blocks = fused.choose_blocks(terms, 256, shared_memory=limit)
    constants = dict(MAPS=2, TERMS=terms, NEEDS_GRAD=True, WIDTH=256)
    assert compile_kernel(capability, 'pair_loss_kernel', blocks, **constants).shared <= limit


def test_propagation_of_256_channels_and_100_classes_fits(compile_kernel):
    limit = SHARED_MEMORY[90]
    blocks = fused.choose_blocks(3, 256, 128, shared_memory=limit)
    constants = dict(TERMS=3, WIDTH=256, VALUES=128)
    assert compile_kernel(90, 'propagation_kernel', blocks, **constants).shared <= limit


def test_less_shared_memory_never_gives_larger_blocks():
    sizes = [
        fused.choose_blocks(2, 256, 32, shared_memory=kilobytes * 1024)
        for kilobytes in (227, 163, 99, 64, 1)
    ]
    areas = [blocks.rows * blocks.cols for blocks in sizes]
    assert areas == sorted(areas, reverse=True) and areas[0] > areas[-1]
    assert all(blocks.rows % blocks.cols == 0 for blocks in fused.BLOCKS)
