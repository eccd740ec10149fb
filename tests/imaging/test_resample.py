import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import block_reduce

from coread.imaging.resample import block_mean, enlarge

FACTORS = st.tuples(*[st.integers(1, 3)] * 3)


@settings(max_examples=40, deadline=None)
@given(FACTORS, st.tuples(*[st.integers(1, 4)] * 3), st.integers(0, 1000))
def test_block_mean_agrees_with_scikit_image_on_full_blocks(factors, blocks, seed) -> None:
    shape = tuple(f * b for f, b in zip(factors, blocks, strict=True))
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    assert np.allclose(block_mean(values, factors), block_reduce(values, factors, np.mean), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(FACTORS, st.tuples(*[st.integers(1, 7)] * 3))
def test_a_constant_stays_the_same_whatever_the_size(factors, shape) -> None:
    values = np.full(shape, -850, dtype=np.int16)
    small = block_mean(values, factors)
    assert (small == -850).all()
    assert np.array_equal(enlarge(small, factors, shape), values)
