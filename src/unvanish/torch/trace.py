"""Follow one forward pass: every function of PyTorch that the model calls, and what its tensors come from."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.overrides import TorchFunctionMode

from unvanish.torch.arrays import tensors_in
from unvanish.torch.call import Call, Place, distinct
from unvanish.torch.compat import opened, version_of
from unvanish.torch.expressions import DEEPEST, POINTS, Expression, Recogniser, Root, applied, same_root
from unvanish.torch.functions import ELEMENTWISE, KEEP_AXES, LOSSES, MOVES, QUIET, WRITES, F, may_write, name_of
from unvanish.torch.origins import Origin, Origins
from unvanish.torch.reading import Reading, read
from unvanish.torch.taps import Edge, edges_before, edges_of

_ATTENTION = F.multi_head_attention_forward
_OPENED_ATTENTION = opened(_ATTENTION)
_FLATTENING = frozenset({"flatten", "reshape", "view"})
_CHANNELS_SECOND = frozenset({"conv", "batch_norm", "group_norm", "pool"})
_INHERITS = frozenset({"activation", "add", "concatenate", "dropout", "layer_norm", "multiply", "other", "rms_norm"})


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


@dataclass(slots=True)
class Before:
    """Hold what has to be known before a call runs, since it may write over its arguments."""

    reading: Reading
    data: list[torch.Tensor]
    """The arguments that data flow through."""
    first: Origin | None
    """Of the first of them."""
    edges: list[tuple[Edge, ...]]
    expressions: dict[int, list[Expression]]
    """By id of the argument, nearest root first."""
    copy: torch.Tensor | None
    """Of the first of them, where it may be written over."""

    @property
    def entering(self) -> torch.Tensor | None:
        """Return the first argument as it was."""
        return self.copy if self.copy is not None else (self.data[0] if self.data else None)


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
        name = name_of(func)
        if name in QUIET:
            return func(*args, **kwargs)
        try:
            before = self._prepare(name, func, args, kwargs)
        except Exception as error:  # the user's call is made in any case, and what was not seen is named
            self._trouble(name, error)
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        if isinstance(result, Iterator):  # `for row in tensor`
            rows = list(result)
            self._follow(name, func, args, kwargs, before, rows)
            return iter(rows)
        self._follow(name, func, args, kwargs, before, result)
        return result

    def _prepare(self, name: str, func: Any, args: Any, kwargs: Any) -> Before:
        reading = read(name, func, args, kwargs, self.origins.is_weight)
        for tensor in reading.data:
            self._adopt(tensor)
        data = [t for t in reading.data if self.origins.of(t) is not None]
        first = self.origins.of(data[0]) if data else None
        if name in WRITES or (name in MOVES and name not in _FLATTENING):
            return Before(reading, data, first, [], {}, None)
        writes = may_write(func, args, kwargs)
        return Before(
            reading,
            data,
            first,
            edges=[edges_of(t, may_write=writes) for t in data],
            expressions={id(t): self._expressions(t, writes) for t in data} if name in ELEMENTWISE else {},
            copy=data[0].detach().clone() if writes and data else None,
        )

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
        nothing = Reading("other", call.function, [], [])
        before = Before(nothing, [], None, [(edge,) for edge in edges], {}, None)
        self._emit(call, before, [tensor], sources)

    def _follow(self, name: str, func: Any, args: Any, kwargs: Any, before: Before, result: Any) -> None:
        outputs = list(tensors_in(result, 3))
        if name == "setitem":
            outputs = [args[0]]
        try:
            with torch.no_grad():
                if name in LOSSES:  # what it is computed from stays the network's output
                    for output in outputs:
                        self.origins.note(output, self.origins.each_source(before.data[:1]))
                elif outputs:
                    self._observe(name, func, args, kwargs, before, outputs)
        except Exception as error:  # as above: the user's pass goes on
            self._trouble(name, error)

    def _trouble(self, name: str, error: Exception) -> None:
        self.troubles.setdefault(name, f"{type(error).__name__}: {error}".splitlines()[0])

    def _observe(
        self, name: str, func: Any, args: Any, kwargs: Any, before: Before, outputs: list[torch.Tensor]
    ) -> None:
        """Note what a call gave: a tensor passed on, something of weights alone, or a layer."""
        reading, sources = before.reading, distinct(self.origins.each_source(before.data))
        if name in WRITES:
            for output in outputs:
                both = distinct([*self.origins.each_source([output]), *sources])
                self.origins.note(output, both, channels_first=before.first is not None and before.first.channels_first)
        elif not before.data and not reading.is_layer_of_weights:
            behind = self.origins.parameters(reading.weights)
            for output in outputs if behind else ():
                self.origins.note(output, parameters=behind)
        elif all(output.ndim == 0 for output in outputs):  # a loss, or another number about the whole batch
            for output in outputs:
                self.origins.note(output, sources)
        elif name in MOVES or self._is_passed_on(before, outputs):
            self._moved(name, before, outputs, sources)
        else:
            expressions = self._expressed(func, args, kwargs, before)
            if expressions and not expressions[0].calls and self._recognise(expressions[0].values)[0] == "linear":
                self._moved(name, before, outputs, sources)
            elif any(o.is_floating_point() or o.is_complex() for o in outputs):
                self._layer(name, before, outputs, sources, expressions)
            else:
                for output in outputs:
                    self.origins.note(output, sources, expressions=expressions)

    @staticmethod
    def _is_passed_on(before: Before, outputs: list[torch.Tensor]) -> bool:
        """Say whether the call gave its argument back: a dropout that is off, a concatenation with nothing."""
        if before.copy is None and all(any(o is t for t in before.data) for o in outputs):
            return True
        return (
            before.reading.kind == "concatenate" and len(before.data) == 1 and outputs[0].shape == before.data[0].shape
        )

    def _moved(self, name: str, before: Before, outputs: list[torch.Tensor], sources: tuple[Call, ...]) -> None:
        """Pass a tensor on; where all places of each sample become one row, that is a layer that flattens."""
        first, source, output = before.first, before.data[0], outputs[0]
        if first is None:
            return
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
                channels_first=first.channels_first and axes,
                expressions=first.expressions if kept else (),
            )

    # --- activations --------------------------------------------------------------------------------------------------

    def _expressions(self, tensor: torch.Tensor, writes: bool) -> list[Expression]:
        """Return the tensor as a function of itself, and of what it was computed from."""
        origin = self.origins.of(tensor)
        if origin is None or not (tensor.is_floating_point() or origin.expressions):
            return []
        edges = edges_of(tensor, may_write=writes)
        root = Root(weakref.ref(tensor), version_of(tensor), origin.sources, edges, origin.channels_first)
        return [Expression(root, POINTS, ()), *origin.expressions][:DEEPEST]

    def _expressed(self, func: Any, args: Any, kwargs: Any, before: Before) -> tuple[Expression, ...]:
        """Return the output as an elementwise function of each root that all arguments share, nearest first."""
        if not before.expressions:
            return ()
        found = []
        for nearest in before.expressions[id(before.data[0])]:
            values: dict[int, torch.Tensor] = {}
            calls: list[Call] = []
            for tensor in before.data:
                shared = [e for e in before.expressions[id(tensor)] if same_root(e.root, nearest.root)]
                if shared:
                    values[id(tensor)] = shared[0].values
                    calls.extend(shared[0].calls)
            complete = len(values) == len({id(tensor) for tensor in before.data})
            result = applied(func, args, kwargs, values) if complete else None
            if result is not None:
                found.append(Expression(nearest.root, result, distinct(calls)))
        return tuple(found)

    def _activation(
        self, expressions: Sequence[Expression], before: Before
    ) -> tuple[Expression, str, float | None] | None:
        """Return the function that a call completes and its name; None when it is no known activation.

        What the call alone does to its argument is looked at first, then what it completes.
        """
        for expression in expressions:
            name, parameter = self._recognise(expression.values)
            if name in ("other", "linear"):
                continue
            if not expression.calls or (
                all(p.may_be_merged for p in expression.calls) and self._root(expression, before) is not None
            ):
                return expression, name, parameter
        return None

    def _merge(self, expression: Expression, before: Before) -> torch.Tensor | None:
        """Let the last call stand for all that computed the expression. Return what the activation is applied to."""
        for part in expression.calls:
            part.merged = True
        self.calls = [call for call in self.calls if not call.merged]
        self._listener.merged(expression.calls)
        before.edges[:] = [expression.root.edges]
        return self._root(expression, before)

    def _root(self, expression: Expression, before: Before) -> torch.Tensor | None:
        """Return what the expression is a function of, as it was; None once it is gone."""
        if before.copy is not None and expression.root.tensor() is before.data[0]:
            return before.copy
        return expression.root.value

    # --- layers -------------------------------------------------------------------------------------------------------

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
        known = self._activation(expressions, before)
        first = before.first is not None and before.first.channels_first
        if known is not None:
            expression, call.activation, call.parameter = known
            call.kind = "activation"
            if expression.calls:
                call.function = call.activation  # what it is, not the function that happens to come last
                entering, sources, first = (
                    self._merge(expression, before),
                    expression.root.sources,
                    expression.root.first,
                )
        elif len(before.data) > 1 and name in ("add", "mul", "multiply"):
            call.kind = "add" if name == "add" else "multiply"
            sources = self.origins.each_source(before.data)
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
