"""Names of torch's operators (aten), by what they do with a map."""

from __future__ import annotations


def _names(text: str) -> list[str]:
    return text.split()


UNCHANGED = _names("""
    relu leaky_relu sigmoid tanh silu gelu hardswish hardsigmoid hardtanh clamp clamp_min clamp_max
    elu celu mish softplus log_sigmoid_forward threshold softshrink hardshrink _prelu_kernel
    rrelu_with_noise exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal neg abs sign sgn erf
    erfc sin cos tan atan round floor ceil trunc frac sinh cosh heaviside logical_not bitwise_not
    isnan isinf isfinite nan_to_num native_dropout bernoulli clone detach alias lift_fresh _to_copy
    _softmax _log_softmax _safe_softmax native_batch_norm _native_batch_norm_legit
    _native_batch_norm_legit_no_training cudnn_batch_norm batch_norm_elemt native_layer_norm
    native_group_norm _fused_rms_norm tril triu fake_quantize_per_tensor_affine_cachemask
    _fake_quantize_per_tensor_affine_cachemask_tensor_qparams
    fake_quantize_per_channel_affine_cachemask
""")
"""One value of the map gives one value: activations, normalisation, softmax, copies."""

TOGETHER = {
    "multiply": _names("mul div pow floor_divide remainder fmod"),
    "add": _names("""
        add sub rsub maximum minimum fmax fmin eq ne lt le gt ge logical_and logical_or logical_xor
        bitwise_and bitwise_or bitwise_xor __and__ __or__ __xor__ atan2 hypot copysign lerp
        xlogy where addcmul addcdiv masked_fill
    """),
}
"""Element by element, of two values or more."""

RESHAPES = _names("""
    view _unsafe_view reshape _reshape_alias unsqueeze squeeze view_copy squeeze_copy unsqueeze_copy
""")

PARTS = _names("""
    slice select index_select gather flip roll repeat index reflection_pad1d reflection_pad2d
    replication_pad1d replication_pad2d pixel_shuffle pixel_unshuffle channel_shuffle im2col col2im
    diff slice_scatter select_scatter
""")
"""Values are moved; of the same rank only along the dimensions that change."""

REDUCTIONS = _names("""
    mean sum amax amin max min var std var_mean std_mean norm linalg_vector_norm logsumexp prod any
    all aminmax
""")

POOLS = _names("""
    max_pool2d_with_indices avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d
    fractional_max_pool2d mkldnn_max_pool2d
""")

RESIZES = _names("""
    upsample_nearest1d upsample_nearest2d upsample_bilinear2d upsample_linear1d upsample_bicubic2d
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_bilinear2d_aa
    _upsample_bicubic2d_aa
""")

DECISIONS = _names("""
    argmax argmin topk sort argsort nonzero unique _unique2 unique_dim bincount histc multinomial
    masked_select _local_scalar_dense equal cumsum cumprod scatter scatter_add searchsorted
    bucketize median nanmedian mode kthvalue isin is_nonzero one_hot cummax cummin
    _assert_async _assert_scalar
""")
"""What they give is no map; a layer that reads it is refused."""

CONSTANTS = _names("""
    zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones new_full
    new_empty new_empty_strided zero fill uniform normal is_same_size sym_size empty_strided
    _has_same_storage_numel random exponential
""")
