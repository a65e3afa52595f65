"""The functions of PyTorch by what they are: which compute elementwise, which only move entries, which are layers."""

from __future__ import annotations

from typing import Any

import torch

F = torch.nn.functional


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ELEMENTWISE = _words(
    """
    _threshold abs add addcmul celu clamp clamp_max clamp_min clip cos div elu erf erfc exp expm1 ge gelu gt hardshrink
    hardsigmoid hardswish hardtanh le leaky_relu log log1p log_sigmoid logaddexp logsigmoid lt maximum minimum mish mul
    multiply neg negative pow prelu rdiv reciprocal relu relu6 rpow rsqrt rsub selu sigmoid sign silu sin
    softplus softshrink softsign sqrt square sub subtract tanh tanhshrink threshold true_divide where
    """
)
"""Functions whose every entry depends on the entries at the same place only, and on no random number."""

MOVES = _words(
    """
    H T align_to as_strided bfloat16 broadcast_to channel_shuffle chunk clone contiguous cpu cuda data detach
    diagonal double expand expand_as flatten flip float gather getitem half index_select mH mT masked_fill
    masked_select moveaxis movedim narrow native_channel_shuffle pad permute pin_memory pixel_shuffle
    pixel_unshuffle real refine_names rename repeat repeat_interleave requires_grad reshape reshape_as roll
    select split split_with_sizes squeeze swapaxes swapdims t take_along_dim tensor_split tile to transpose tril
    triu type type_as unbind unflatten unfold unsafe_chunk unsafe_split unsqueeze view view_as
    """
)
"""Views, casts and whatever else computes nothing: passed through, not layers."""
KEEP_AXES = _words(
    """
    bfloat16 chunk clone contiguous cpu cuda data detach double expand expand_as flip float half masked_fill
    narrow pad requires_grad roll split tensor_split to tril triu type type_as
    """
)
"""Those of MOVES after which axis 1 is still what it was."""
WRITES = frozenset(["copy", "index_add", "index_copy", "index_put", "masked_scatter", "scatter", "setitem"])
"""Functions that write other tensors into their first argument."""

QUIET = _words(
    """
    _is_view _set_grad_enabled all allclose any backward bool dim element_size equal get_device has_names hash
    is_complex is_contiguous is_floating_point is_leaf is_pinned is_same_size is_shared is_signed isfinite item
    len ndimension numel numpy register_hook repr requires_grad_ retain_grad size storage_offset str stride
    tolist
    """
)
"""Functions that give no tensor that goes on, and are called all the time."""

LOSSES = _words(
    """
    binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy cross_entropy_loss
    ctc_loss gaussian_nll_loss hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss mse_loss
    multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss nll_loss nll_loss2d poisson_nll_loss
    smooth_l1_loss soft_margin_loss triplet_margin_loss triplet_margin_with_distance_loss
    """
)
"""A loss that a model computes itself is no layer of it."""

_POOLS = [f"{adaptive}{of}_pool{n}d" for adaptive in ("", "adaptive_") for of in ("avg", "max") for n in (1, 2, 3)]
_LAYERS = {
    "attention": "scaled_dot_product_attention",
    "batch_norm": "batch_norm",
    "concatenate": "cat stack hstack vstack dstack",
    "conv": "conv1d conv2d conv3d",
    "dense": "addmm linear matmul mm",
    "dropout": "alpha_dropout dropout dropout1d dropout2d dropout3d feature_alpha_dropout feature_dropout",
    "embedding": "embedding embedding_bag",
    "group_norm": "group_norm instance_norm",
    "layer_norm": "layer_norm",
    "pool": " ".join([*_POOLS, *(f"{name}_with_indices" for name in _POOLS if "max" in name)]),
    "recurrent": "gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell",
    "rms_norm": "rms_norm",
}
KINDS = {name: kind for kind, names in _LAYERS.items() for name in names.split()}
"""Name of a function -> kind of layer; a matrix product is `dense` only with a weight."""

_SAME = {"radd": "add", "rmul": "mul", "rtruediv": "rdiv", "truediv": "div", "iadd": "add", "isub": "sub"}
_SAME |= {"imul": "mul", "itruediv": "div", "ipow": "pow", "rmatmul": "matmul", "concat": "cat", "concatenate": "cat"}


def name_of(function: Any) -> str:
    """Return the function's name without what says how it was called: `__radd__`, `add_` and `add` are `add`.

    An attribute (`x.T`) is `data`: read, it only moves entries.
    """
    name: str = getattr(function, "__name__", "")
    if name == "__get__":
        return "data"
    if name.startswith("__"):
        name = name.strip("_")
        return _SAME.get(name, name)
    return name[:-1] if name.endswith("_") else name


def may_write(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Say whether the call may change its first argument in place."""
    name: str = getattr(function, "__name__", "")
    if name.startswith("__i") and name not in ("__iter__", "__invert__", "__index__", "__int__"):
        return True
    return (name.endswith("_") and not name.startswith("__")) or bool(kwargs.get("inplace")) or _flagged(function, args)


def _flagged(function: Any, args: tuple[Any, ...]) -> bool:
    """Say whether `inplace` was given by position, where it is the last parameter of an activation or a dropout."""
    return getattr(function, "__module__", "") == F.__name__ and any(a is True for a in args[1:])
