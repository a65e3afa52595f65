"""See forward and backward passes of the user's own."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import torch

from unvanish.core.network import Network
from unvanish.core.profile import LayerProfile, Profile, TimeProfile
from unvanish.errors import UnsupportedError
from unvanish.torch.arrays import tensors_in
from unvanish.torch.call import Key
from unvanish.torch.compat import compiler_is_loaded, transformed, uncompiled
from unvanish.torch.depth import depths
from unvanish.torch.describe import Described, describe
from unvanish.torch.expressions import Recogniser
from unvanish.torch.places import Places
from unvanish.torch.requirements import unreadable
from unvanish.torch.sums import Sums
from unvanish.torch.through_time import through_time
from unvanish.torch.trace import Trace
from unvanish.torch.weights import Weights

_GRADIENTS = (
    "gradient_norm",
    "gradient_rms",
    "input_gradient_norm",
    "output_gradient_norm",
    "preactivation_gradient_norm",
    "preactivation_gradient_rms",
)


class Look:
    """See one or several forward and backward passes of the user's own, without changing a bit of them.

        with Look(model) as look:
            loss = loss_of(model(x), y)
            loss.backward()
        look.network(), look.profile(0, float(loss))

    Passes without gradients (an evaluation under no_grad) are let by.
    """

    def __init__(
        self, model: torch.nn.Module, *, eager: bool = True, weights: bool = True, sums: Sums | None = None
    ) -> None:
        """Keep the model; nothing is hooked before the context is entered.

        weights: listen to the gradients of the parameters too; False leaves them without a hook. sums: what is taken of
        the layers, where that is not a profile.

        eager: let what is compiled run uncompiled meanwhile, in the whole process; to be False while a training runs
        whose passes are not compiled, though other things may be.
        """
        self.seen = 0
        """Forward passes that were seen."""
        self._eager, self._hear_weights = eager, weights
        self._model: torch.nn.Module = uncompiled(model)
        self._sums = Sums() if sums is None else sums
        self._weights = Weights(self._sums)
        self._recognise = Recogniser()
        self._described: Described | None = None
        self._kernels: dict[str, torch.Tensor] = {}
        self._depths: dict[str, tuple[int, int]] = {}
        self._through_time: tuple[TimeProfile, ...] = ()
        self._not_over_time: dict[str, str] = {}
        """Why -> the first layer that was not looked at over time."""
        self._batch_size = 0
        self._troubles: dict[str, str] = {}
        self.failure: Exception | None = None
        """What went wrong with a pass, which is not counted as seen."""
        self._stack = contextlib.ExitStack()
        self._handles: list[Any] = []
        self._running: tuple[Trace, Places] | None = None
        self._inside = 0
        self._started = time.perf_counter()

    def __enter__(self) -> Look:
        """Arm: from now on passes of the model are seen."""
        self._started = time.perf_counter()
        if self._eager and compiler_is_loaded():  # hooks that were not there when a model was compiled would not fire
            self._stack.enter_context(torch.compiler.set_stance("force_eager"))
        self.listen()
        self._stack.callback(self.rest)
        self._stack.callback(self._weights.close)
        self._stack.callback(self._sums.close)
        if self._hear_weights:
            self._weights.hook(self._model.parameters())
        return self

    def __exit__(self, *_: object) -> None:
        """Disarm: no hook and no mode is left."""
        self._stop()
        self._weights.next_pass()
        self._stack.close()

    def listen(self) -> None:
        """Put hooks on the model, if they are not there."""
        if not self._handles:
            self._handles = [
                self._model.register_forward_pre_hook(self._start, with_kwargs=True),
                self._model.register_forward_hook(self._end, always_call=True),
            ]

    def rest(self) -> None:
        """Take the hooks off the model until `listen`: one that is copied or saved meanwhile has none."""
        while self._handles:
            self._handles.pop().remove()

    @property
    def not_checked(self) -> tuple[str, ...]:
        """Return what could not be looked at, in words."""
        found = []
        if self.failure is not None:
            found.append(f"a pass of the model: {type(self.failure).__name__}: {self.failure}".splitlines()[0])
        if not self.seen:
            found.append("no forward pass of the model was seen")
        elif not self._weights.arrived and not self._sums.backward:
            found.append("no backward pass of the model was seen")
        names = {} if self._described is None else self._described.names
        blind = [names[key] for key in self._sums.without_graph if key in names]
        if blind:
            where = "where no gradient is recorded (no_grad, or reentrant checkpointing)"
            found.append(f"{len(blind)} layers with weights ran {where}, the first of them {blind[0]}")
        new = [key for key in self._sums.by_key if key not in names]
        if new and names:
            found.append(
                f"{len(new)} layers that only later passes had, the first of them in {new[0][0] or 'the model'}"
            )
        found.extend(f"{name} over time: {why}" for why, name in self._not_over_time.items())
        troubles = {**self._troubles, **self._sums.troubles}
        return (*found, *(f"calls of {name}: {why}" for name, why in troubles.items()))

    def network(self) -> Network:
        """Return the network as the first forward pass showed it. Raise UnsupportedError when none was seen."""
        return self._required().network

    @property
    def batch_size(self) -> int:
        """Return the number of samples of the first pass; 0 where it is not known."""
        return self._batch_size

    def keys(self) -> dict[str, Key]:
        """Return which call each layer of `network()` is: the same in every pass of one structure."""
        return {name: key for key, name in self._required().names.items()}

    def kernels(self) -> dict[str, torch.Tensor]:
        """Return the parameter that is the kernel of each layer of `network().kernels`, by the layer's name.

        A kernel that is computed from other parameters (a weight norm) is none and is left out.
        """
        names = {layer.name for layer in self._required().network.kernels}
        return {name: kernel for name, kernel in self._kernels.items() if name in names}

    def profile(self, step: int, loss: float, scale: float = 1.0) -> Profile:
        """Return what all passes that were seen show; norms are root-mean-square over them.

        scale: what the loss was multiplied by (AMP): gradients are divided by it. Raise UnsupportedError when no pass
        was seen.
        """
        described = self._required()
        self._weights.next_pass()
        return Profile(
            step=step,
            batches=self.seen,
            batch_size=self._batch_size,
            loss=loss,
            dtype=described.dtype,
            layers=tuple(self._layer(key, name, scale) for key, name in described.names.items()),
            unreached=tuple(
                name
                for name, parameter in self._model.named_parameters()
                if parameter.requires_grad and id(parameter) not in self._weights.arrived
            ),
            through_time=self._through_time,
            depths=self._depths,
            seconds=time.perf_counter() - self._started,
        )

    def _required(self) -> Described:
        if self._described is None:
            if self.failure is not None:
                raise unreadable(type(self._model).__name__, self.failure) from self.failure
            raise UnsupportedError(
                "the model was not seen at work",
                found="no forward pass with gradients was made while it was looked at",
                hint="call the model itself, not a copy of it or its forward method",
            )
        return self._described

    def _layer(self, key: Key, name: str, scale: float) -> LayerProfile:
        sums = self._sums.by_key.get(key)
        if sums is None:  # an input
            return LayerProfile(name=name)
        found: LayerProfile = sums.profile(name)
        divided: Mapping[str, Any] = {
            field: None if (number := getattr(found, field)) is None else number / scale for field in _GRADIENTS
        }
        return msgspec.structs.replace(found, reached=self._weights.reached(key), **divided)

    # --- around the root's forward pass -------------------------------------------------------------------------------

    def _start(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._inside += 1
        if self._inside > 1 or not torch.is_grad_enabled() or transformed():
            return
        try:
            self._begin(args, kwargs)
        except Exception as error:  # as in _end
            self.failure = self.failure or error
            self._stop()

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._weights.next_pass()
        self._sums.next_pass()
        places = Places(self._model)
        parameters = {id(p): p for p in self._model.parameters()}
        trace = Trace(parameters, places.stack, self._sums, self._recognise)
        for name, tensor in _inputs(args, kwargs):
            trace.enter(name, tensor)
        self._running = trace, places
        trace.start()
        places.open()

    def _end(self, _: Any, __: Any, output: Any) -> None:
        self._inside = max(self._inside - 1, 0)
        if self._inside or self._running is None:
            return
        trace, _ = self._running
        self._stop()
        if output is None and sys.exc_info()[0] is not None:  # the forward pass failed
            return
        try:
            self._read(trace, output)
        except Exception as error:  # the user's pass goes on, and what was not seen is named
            self.failure = self.failure or error

    def _read(self, trace: Trace, output: Any) -> None:
        """Take what a pass showed, and be there when its gradients come."""
        trace.adopt(output)
        self._troubles.update(trace.troubles)
        if self._hear_weights:
            self._weights.hook(self._model.parameters())
            for call in trace.calls:
                self._weights.own(call)
        if self._described is None:
            self._described = describe(self._model, trace, output)
            own = {id(p) for p in self._model.parameters()}
            for call in trace.calls:
                if call.kernel is not None and id(call.kernel) in own:
                    self._kernels.setdefault(self._described.names[call.key], call.kernel)
            self._over_time(trace)
            self._depths = depths(output, self._sums.made, self._model)
            first = next((call for call in trace.calls if call.kind == "input" and call.shape), None)
            self._batch_size = first.shape[0] if first is not None else 0
        self.seen += 1

    def _over_time(self, trace: Trace) -> None:
        """Look at each recurrent layer over time, at its first call."""
        names = self._required().names
        for call in trace.calls:
            if isinstance(call.recurrence, str):
                self._not_over_time.setdefault(call.recurrence, names[call.key])
            elif call.recurrence is not None:
                self._through_time += through_time(names[call.key], call.recurrence)
            call.recurrence = None

    def _stop(self) -> None:
        if self._running is not None:
            trace, places = self._running
            self._running = None
            trace.stop()
            places.close()


def _inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, torch.Tensor]]:
    """Return what the model was given: `input` by position, else by name."""
    found = [("input", tensor) for tensor in tensors_in(args)]
    return found + [(name, tensor) for name, value in kwargs.items() for tensor in tensors_in(value)]
