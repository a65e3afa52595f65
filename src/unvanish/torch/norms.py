"""Euclidean norms of many tensors at once, none of which underflows or overflows by itself; nothing waits for a device.

|t| = sqrt(sum_i t_i^2) over all entries. On a device the squares of float32 (and shorter) entries are taken in
float64, whose range holds them all: 1e-45^2 = 1e-90, 1e38^2 = 1e76. On the CPU, where that is six times slower, they
are taken in float32, of pieces that are short enough for its sums, and again in float64 where anything may have been
lost. Entries of float64 are divided by the largest magnitude first (Blue 1978, ACM TOMS 4(1), as in LAPACK's dnrm2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from unvanish.torch.compat import foreach_norm

PIECE = 1 << 17
"""Entries whose squares are added up in float32: a norm of so many was measured to be right to 7e-7, of twice as many
to 2e-6. Of fewer the norms of millions of entries take longer: each is a call, which the threads of PyTorch share.
"""
LOST = 1e-31
"""A mean square above this lost less than 1e-7 of the norm: a square below 1.2e-38 loses at most itself (derived)."""


def norms_of(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the Euclidean norm of the stored entries of each tensor: float64 scalars on the tensor's device.

    tensors: strided or sparse ones of any real or complex dtype; not changed. inf or nan where an entry is.
    """
    found: dict[int, torch.Tensor] = {}
    entries = [_real(entries_of(tensor)) for tensor in tensors]
    if all(e.is_cpu for e in entries):
        return _on_cpu(entries) if entries else []
    for device in dict.fromkeys(e.device for e in entries):
        here = [i for i, e in enumerate(entries) if e.device == device]
        norms = _on_cpu if device.type == "cpu" else on_device
        found.update(zip(here, norms([entries[i] for i in here]), strict=True))
    return [found[i] for i in range(len(entries))]


def entries_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return the stored entries of a tensor; of one that is shared out among processes, those of this process.

    Those of a sparse one are added up per place first, as it means them.
    """
    tensor = local(tensor.detach())
    if tensor.layout is not torch.strided:
        tensor = tensor.coalesce().values() if tensor.layout is torch.sparse_coo else tensor.to_dense()
    return tensor.cpu() if tensor.is_mps else tensor  # that device has no float64


def local(tensor: torch.Tensor) -> torch.Tensor:
    """Return this process's part of a tensor that is shared out (a DTensor), waiting for nobody; else itself."""
    part = getattr(tensor, "to_local", None)
    found: torch.Tensor = tensor if part is None else part()
    return found


def on_device(entries: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the norms without asking for a number: what is wanted of a device that computes meanwhile."""
    wide = [e.dtype == torch.float64 for e in entries]
    short = iter(foreach_norm([e for e, w in zip(entries, wide, strict=True) if not w], torch.float64))
    return [_scaled(e) if w else next(short) for e, w in zip(entries, wide, strict=True)]


def _on_cpu(entries: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the norms, each looked at here at once: on the CPU there is nothing to wait for."""
    pieces = [_pieces(e) for e in entries]
    short = [p if p.element_size() >= 4 else p.float() for parts in pieces for p in parts]
    squares = iter((torch.stack(foreach_norm(short)).double() ** 2).tolist() if _alike(short) else _each(short))
    found = []
    for entry, parts in zip(entries, pieces, strict=True):
        total = next(squares) if len(parts) == 1 else math.fsum(next(squares) for _ in parts)
        kept = LOST * entry.numel() < total < math.inf and entry.dtype != torch.float64
        found.append(math.sqrt(total) if kept else float(_scaled(entry)))
    return list(torch.tensor(found, dtype=torch.float64).unbind())


def _alike(tensors: Sequence[torch.Tensor]) -> bool:
    return len({t.dtype for t in tensors}) == 1


def _each(tensors: Sequence[torch.Tensor]) -> list[float]:
    return [float(norm.double()) ** 2 for norm in foreach_norm(tensors)]


def _pieces(entries: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.split(entries.reshape(-1), PIECE) if entries.numel() > PIECE else (entries,)


def _scaled(entries: torch.Tensor) -> torch.Tensor:
    """Return the norm in float64, of entries divided by the largest of them where that can be done."""
    if not entries.numel():
        return torch.zeros((), dtype=torch.float64, device=entries.device)
    wide = entries.double()
    largest = wide.abs().amax()
    scale = torch.where((largest > 0) & torch.isfinite(largest), largest, 1.0)
    norm: torch.Tensor = torch.linalg.vector_norm(wide / scale) * scale
    return norm


def _real(entries: torch.Tensor) -> torch.Tensor:
    """Return complex entries as pairs of real ones, and whole numbers as float64."""
    if entries.is_complex():
        return torch.view_as_real(entries.resolve_conj())
    return entries if entries.is_floating_point() else entries.double()
