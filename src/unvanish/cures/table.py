"""All cures, and what they propose for one network: the smallest change first."""

from __future__ import annotations

import math

from msgspec.structs import replace

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.edit import INVASIVENESS, Edit, Prescription
from unvanish.core.network import Network
from unvanish.core.observation import Observation
from unvanish.cures import (
    add_batch_norm,
    add_layer_norm,
    add_residual,
    centred_orthogonal_init,
    clip_gradient,
    data_driven_init,
    forget_gate_bias,
    learning_rate,
    looks_linear_init,
    lower_epsilon,
    orthogonal_init,
    orthogonal_recurrence,
    rescale_init,
    scale_inputs,
    scale_loss,
    swap_activation,
)
from unvanish.cures.cure import Cure
from unvanish.cures.edited import edited
from unvanish.theory.factors import gradient_factor, signal_factor
from unvanish.theory.forecast import forecast_network
from unvanish.theory.loss_read import as_read

CURES: tuple[Cure, ...] = (
    add_batch_norm,
    add_layer_norm,
    add_residual,
    centred_orthogonal_init,
    clip_gradient,
    data_driven_init,
    forget_gate_bias,
    learning_rate,
    looks_linear_init,
    lower_epsilon,
    orthogonal_init,
    orthogonal_recurrence,
    rescale_init,
    scale_inputs,
    scale_loss,
    swap_activation,
)

OF_GRADIENTS = ("GF1", "GF6", "GF7")
"""Families of the rules about how the gradient goes through depth and time."""
DEEPEST = 300
"""Kernels above which nothing is forecast: a look at the first step answers sooner."""


def proposals(diagnosis: Diagnosis, cures: tuple[Cure, ...] = CURES) -> tuple[Prescription, ...]:
    """Return what could be tried against the errors found, the least invasive first, each with its forecast.

    Without an error that a cure answers, what could be tried against the warnings. Of equals those with fewer edits
    come first, and those of one cure stay together, in its own order. Where the gradient itself is found wanting,
    clipping is always among them: that it has no effect on one that vanishes is worth a measurement. Nothing is
    changed.
    """
    seen, known = diagnosis.observation, answered(cures)
    errors = {finding.code for finding in diagnosis.findings if finding.severity == "error"} & known
    warnings = {finding.code for finding in diagnosis.findings if finding.severity == "warning"}
    trying = [cure for cure in cures if not (errors or warnings).isdisjoint(cure.ANSWERS)]
    found = [prescription for cure in trying for prescription in cure.propose(seen)]
    of_gradients = errors or any(code.startswith(OF_GRADIENTS) for code in warnings)
    if trying and of_gradients and clip_gradient in cures and clip_gradient not in trying:
        found += clip_gradient.propose(seen)[:1]
    found.sort(key=lambda prescription: (INVASIVENESS.index(prescription.invasiveness), len(prescription.edits)))
    return tuple(one if one.transmission is not None else _forecast(seen, one) for one in found)


def _forecast(seen: Observation, one: Prescription) -> Prescription:
    transmission, signal = expected(seen, one.edits)
    return replace(one, transmission=transmission, signal=signal)


def answered(cures: tuple[Cure, ...] = CURES) -> frozenset[str]:
    """Return the codes of all rules that some cure answers."""
    return frozenset(code for cure in cures for code in cure.ANSWERS)


def expected(seen: Observation, edits: tuple[Edit, ...]) -> tuple[float | None, float | None]:
    """Return by what theory expects gradients and signal to change per layer, with the edits, on the data seen.

    Of the kernels' gradients, towards the input: the quantity that trials measure (rules GF101, GF102). Of the signal's
    RMS, towards the output. None where theory does not say.
    """
    network: Network | None = edited(seen.network, edits)
    if network is None or network == seen.network or len(network.kernels) > DEEPEST:
        return None, None
    data, network = seen.data, as_read(network, seen.loss)
    if data.input_second_moment is None or data.input_cross_moment is None:
        found = forecast_network(network, batch_size=data.batch_size)
    else:
        found = forecast_network(
            network,
            batch_size=data.batch_size,
            second_moment=data.input_second_moment,
            cross_moment=data.input_cross_moment,
        )
    gradient, signal = gradient_factor(found, network), signal_factor(found, network)
    return _number(gradient), _number(signal)


def _number(factor: float | None) -> float | None:
    return factor if factor and math.isfinite(factor) else None
