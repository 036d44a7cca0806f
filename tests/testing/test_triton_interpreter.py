import pytest

from mmp2seg.testing.triton_interpreter import checks_of, interpreted_outcomes

FILE = """
import triton, triton.language as tl, torch
from mmp2seg.testing.triton_interpreter import checks_of, run_checks

@triton.jit
def product(a_ptr, b_ptr, out_ptr):
    places = tl.arange(0, 16)[:, None] * 16 + tl.arange(0, 16)[None, :]
    total = tl.dot(tl.load(a_ptr + places), tl.load(b_ptr + places))
    tl.store(out_ptr + places, total)

def check_product_of_bfloat16():
    a, b = torch.rand(2, 16, 16).bfloat16()
    out = torch.empty(16, 16)
    product[(1,)](a, b, out)
    torch.testing.assert_close(out, a.float() @ b.float())

def check_that_fails():
    raise ValueError('seven')

run_checks(checks_of(globals()))
"""


def test_checks_of_a_file(tmp_path):
    pytest.importorskip('triton')
    file = tmp_path / 'checks.py'
    file.write_text(FILE)
    outcomes = interpreted_outcomes(str(file))
    assert outcomes['check_product_of_bfloat16'] == ''
    assert 'ValueError: seven' in outcomes['check_that_fails']


def test_a_file_that_breaks(tmp_path):
    file = tmp_path / 'checks.py'
    file.write_text('raise ValueError("eight")')
    with pytest.raises(RuntimeError, match='(?s)checks.py.*eight'):
        interpreted_outcomes(str(file))


def test_only_check_functions_are_checks():
    assert list(checks_of(dict(check_a=print, check_b=3, other=print))) == ['check_a']
