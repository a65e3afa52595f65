"""Follow one forward pass: every function of PyTorch that the model calls, and what its tensors come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch.overrides import TorchFunctionMode

from unvanish.torch.activations import completed, is_identity, results, starting_at
from unvanish.torch.arrays import tensors_in
from unvanish.torch.call import Call, Place, distinct
from unvanish.torch.compat import opened, version_of
from unvanish.torch.expressions import Expression, Recogniser
from unvanish.torch.functions import ELEMENTWISE, KEEP_AXES, LOSSES, MOVES, QUIET, WRITES, F, may_write, name_of
from unvanish.torch.invocation import Before, Invocation
from unvanish.torch.origins import Origins
from unvanish.torch.reading import Reading, read
from unvanish.torch.taps import edges_before, edges_of

_ATTENTION = F.multi_head_attention_forward
_OPENED_ATTENTION = opened(_ATTENTION)
_FLATTENING = frozenset({"flatten", "reshape", "view"})
_CHANNELS_SECOND = frozenset({"conv", "batch_norm", "group_norm", "pool"})
_INHERITS = frozenset(
    {"activation", "add", "concatenate", "dropout", "layer_norm", "multiply", "other", "rms_norm", "scale"}
)


class Listener(Protocol):
    """Be told of each layer while its tensors are there."""

    @property
    def made(self) -> Mapping[Any, Call]:
        """Return which layer each node of autograd's graph is the output of, of those seen so far."""

    def seen(
        self, call: Call, entering: torch.Tensor | None, outputs: Sequence[torch.Tensor], edges: Sequence[Any]
    ) -> None:
        """Take the tensors of a call.

        entering: what an activation is applied to, as it was. edges: where dL/d input of each input goes.
        """

    def graph(self, call: Call, output: torch.Tensor, edges: Sequence[Any]) -> None:
        """Take the graph of a call that was seen without one."""

    def merged(self, calls: Sequence[Call]) -> None:
        """Forget calls that turned out to be parts of an activation."""


class Trace(TorchFunctionMode):
    """See every call while it is entered. The results are the functions' own."""

    def __init__(
        self, parameters: Mapping[int, torch.Tensor], places: list[Place], listener: Listener, recognise: Recogniser
    ) -> None:
        """parameters: the model's, by id. places: the modules that are running, innermost last; read at each call."""
        super().__init__()
        self.calls: list[Call] = []
        self.troubles: dict[str, str] = {}
        """Name of a function -> why a call of it could not be looked at."""
        self.origins = Origins(parameters)
        self._places, self._listener, self._recognise = places, listener, recognise
        self._numbers: Counter[tuple[str, int, str]] = Counter()

    def enter(self, name: str, tensor: torch.Tensor) -> None:
        """Make a tensor an input of the network."""
        if self.origins.of(tensor) is not None:
            return
        number = self._numbers["", 0, f"{name} (given)"]
        self._numbers["", 0, f"{name} (given)"] += 1
        call = Call(kind="input", function=name, place=self._places[0], key=("", -1, name, number))
        call.shape, call.dtype = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
        self.calls.append(call)
        self.origins.note(tensor, (call,))

    def start(self) -> None:
        """Begin to see."""
        mode: Any = self  # its methods have no types
        mode.__enter__()

    def stop(self) -> None:
        """See no more."""
        mode: Any = self
        mode.__exit__(None, None, None)

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Run the function and note what it did."""
        kwargs = kwargs or {}
        if func is _ATTENTION:
            with self:
                return _OPENED_ATTENTION(*args, **kwargs)
        run = Invocation(name_of(func), func, args, kwargs)
        if run.name in QUIET:
            return run.run()
        try:
            before = self._prepare(run)
        except Exception as error:  # the user's call is made in any case, and what was not seen is named
            self._trouble(run, error)
            return run.run()
        result = run.run()
        if isinstance(result, Iterator):  # `for row in tensor`
            rows = list(result)
            self._follow(run, before, rows)
            return iter(rows)
        self._follow(run, before, result)
        return result

    def _prepare(self, run: Invocation) -> Before:
        reading = read(run.name, run.function, run.args, run.kwargs, self.origins.is_weight)
        for tensor in reading.data:
            self._adopt(tensor)
        before = Before(reading, [t for t in reading.data if self.origins.of(t) is not None])
        if not before.data:
            return before
        before.first = self.origins.of(before.data[0])
        before.version = version_of(before.data[0])
        if run.name in WRITES or (run.name in MOVES and run.name not in _FLATTENING):
            return before
        writes = may_write(run.function, run.args, run.kwargs)
        before.edges = [edges_of(t, may_write=writes) for t in before.data]
        if run.name in ELEMENTWISE:
            before.expressions = {id(t): starting_at(t, self.origins.of(t), writes) for t in before.data}
        if writes:
            before.copy = before.data[0].detach().clone()
        return before

    def adopt(self, value: Any) -> None:
        """Find out where tensors come from that were not seen to be made."""
        for tensor in tensors_in(value):
            self._adopt(tensor)

    def _adopt(self, tensor: torch.Tensor) -> None:
        """Make a layer of what lies between what was seen and a tensor that no function was seen to make.

        A custom autograd function shows its forward pass, but its graph only once it has returned.
        """
        made, origin = self._listener.made, self.origins.of(tensor)
        if tensor.grad_fn is None or tensor.grad_fn in made or self.origins.is_weight(tensor):
            if origin is None and tensor.grad_fn in made:
                maker = made[tensor.grad_fn]
                self.origins.note(tensor, (maker,), channels_first=maker.channels_first)
            return
        if origin is not None and not (len(origin.sources) == 1 and origin.sources[0].without_graph):
            return
        edges, leaves = edges_before(tensor, made)
        sources = distinct([made[node] for node, _ in edges])
        if origin is not None:
            direct = set(sources) == set(origin.sources[0].sources)
            self._listener.graph(origin.sources[0], tensor, [(edge,) for edge in edges] if direct else [])
            return
        parameters = self.origins.parameters(leaves)
        if tensor.ndim == 0 or not (sources or parameters):  # a loss; of an earlier pass, or of other models
            self.origins.note(tensor, sources)
            return
        call = Call("other", tensor.grad_fn.name().removesuffix("Backward"), self._places[-1], parameters=parameters)
        before = Before(Reading("other", call.function, [], []), edges=[(edge,) for edge in edges])
        self._emit(call, before, [tensor], sources)

    def _follow(self, run: Invocation, before: Before, result: Any) -> None:
        outputs = [run.args[0]] if run.name == "setitem" else list(tensors_in(result, 3))
        try:
            with torch.no_grad():
                if outputs:
                    self._observe(run, before, outputs)
        except Exception as error:  # as above: the user's pass goes on
            self._trouble(run, error)

    def _trouble(self, run: Invocation, error: Exception) -> None:
        self.troubles.setdefault(run.name, f"{type(error).__name__}: {error}".splitlines()[0])

    def _observe(self, run: Invocation, before: Before, outputs: list[torch.Tensor]) -> None:
        """Note what a call gave: a number about the batch, weights, a tensor passed on, or a layer."""
        reading, sources = before.reading, distinct(self.origins.each_source(before.data))
        if run.name in LOSSES:  # what it is computed from stays the network's output
            self._note_all(outputs, self.origins.each_source(before.data[:1]))
        elif run.name in WRITES:
            written = distinct([*self.origins.each_source(outputs), *sources])
            self._note_all(outputs, written, channels_first=before.channels_first)
        elif not before.data and not reading.is_layer_of_weights:
            behind = self.origins.parameters(reading.weights)
            self._note_all(outputs if behind else [], parameters=behind)
        elif all(output.ndim == 0 for output in outputs):  # a loss, or another number about the whole batch
            self._note_all(outputs, sources)
        elif run.name in MOVES or before.passed_on(outputs):
            self._moved(run.name, before, outputs, sources)
        else:
            expressions = results(run, before)
            if is_identity(expressions, self._recognise):
                self._moved(run.name, before, outputs, sources)
            elif any(o.is_floating_point() or o.is_complex() for o in outputs):
                self._layer(run.name, before, outputs, sources, expressions)
            else:
                self._note_all(outputs, sources, expressions=expressions)

    def _note_all(self, outputs: list[torch.Tensor], sources: tuple[Call, ...] = (), **more: Any) -> None:
        for output in outputs:
            self.origins.note(output, sources, **more)

    def _moved(self, name: str, before: Before, outputs: list[torch.Tensor], sources: tuple[Call, ...]) -> None:
        """Pass a tensor on; where all places of each sample become one row, that is a layer that flattens."""
        source, output = before.data[0], outputs[0]
        expressions = () if before.first is None else before.first.expressions
        rows = source.ndim > 2 and output.ndim == 2 and len(output) == len(source)
        if name in _FLATTENING and rows and output.is_floating_point():
            self._emit(Call("flatten", name, self._places[-1]), before, outputs, sources)
            return
        for output in outputs:
            axes = name not in MOVES or (name in KEEP_AXES and output.ndim == source.ndim)
            kept = name in ("clone", "contiguous", "to") or output is source
            self.origins.note(
                output,
                sources,
                channels_first=before.channels_first and axes,
                expressions=expressions if kept else (),
            )

    def _merge(self, calls: Sequence[Call]) -> None:
        """Let the call that comes now stand for these, the other parts of an activation."""
        for part in calls:
            part.merged = True
        self.calls = [call for call in self.calls if not call.merged]
        self._listener.merged(calls)

    def _layer(
        self,
        name: str,
        before: Before,
        outputs: list[torch.Tensor],
        sources: tuple[Call, ...],
        expressions: tuple[Expression, ...],
    ) -> None:
        reading, entering = before.reading, before.entering
        behind = self.origins.parameters(reading.weights)
        call = Call(reading.kind, name, self._places[-1], parameters=behind, **reading.fields)
        call.recurrence = reading.recurrence
        known = completed(expressions, before, self._recognise)
        first = before.channels_first
        if known is not None:
            call.kind, call.activation, call.parameter = "activation", known.name, known.parameter
            entering, root = known.entering, known.expression.root
            if known.expression.calls:
                call.function = call.activation  # what it is, not the function that happens to come last
                sources, first, before.edges = root.sources, root.first, [root.edges]
                self._merge(known.expression.calls)
        elif len(before.data) > 1 and name in ("add", "mul", "multiply"):
            call.kind = "multiply" if name != "add" else "other" if reading.adds_a_multiple else "add"
            sources = self.origins.each_source(before.data)
        elif reading.is_pool(first):
            call.kind, call.reduction = "pool", "average" if name == "mean" else "max"
        elif reading.factor is not None and len(before.data) == 1:
            call.kind, call.scale = "scale", reading.factor
        elif call.kind == "multiply" and len(before.data) < 2:  # by a constant
            call.kind = "other"
        if reading.reads_channels and call.kind in _CHANNELS_SECOND and before.data and outputs[0].ndim > 2:
            self.origins.mark_channels(before.data[0])
            first = True
        elif call.kind not in _INHERITS:
            first = False
        self._emit(call, before, outputs, sources, entering, channels_first=first, expressions=expressions)

    def _emit(
        self,
        call: Call,
        before: Before,
        outputs: list[torch.Tensor],
        sources: tuple[Call, ...],
        entering: torch.Tensor | None = None,
        *,
        channels_first: bool = False,
        expressions: tuple[Expression, ...] = (),
    ) -> None:
        """Add a layer, note its outputs, and tell the listener."""
        output = next((o for o in outputs if o.is_floating_point()), outputs[0])
        place = call.place
        number = self._numbers[place.path, place.visit, call.function]
        self._numbers[place.path, place.visit, call.function] += 1
        call.key = (place.path, place.visit, call.function, number)
        call.sources = sources
        call.channels_first = channels_first and output.ndim > 2
        shape = tuple(output.shape)
        call.shape = (shape[0], *shape[2:], shape[1]) if call.channels_first else shape
        call.dtype = str(output.dtype).removeprefix("torch.")
        self.calls.append(call)
        whole = tuple(e._replace(calls=(*(c for c in e.calls if not c.merged), call)) for e in expressions)
        for each in outputs:
            own = whole if each is output else ()
            self.origins.note(each, (call,), channels_first=call.channels_first, expressions=own)
        self._listener.seen(call, entering if call.kind == "activation" else None, outputs, before.edges)
