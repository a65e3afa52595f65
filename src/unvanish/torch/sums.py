"""Add up what every layer shows, forward as it is called and backward as its gradients arrive."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch

from unvanish.core.layer_sums import LayerSums
from unvanish.torch.arrays import Array, array
from unvanish.torch.call import Call, Key
from unvanish.torch.slopes import slopes
from unvanish.torch.taps import crossings, node_of, on_inputs, on_output


class Sums:
    """Collect the numbers of all layers over several passes, by the layer's key. Activations are not kept.

    What is taken of them is for `_made`, `_forward`, `_left` and `_entered` to say: here all that a profile has.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.by_key: dict[Key, Any] = {}
        self.backward: set[Key] = set()
        """Layers whose output's gradient arrived."""
        self.without_graph: dict[Key, None] = {}
        """Layers with weights to train that ran where no gradient is recorded."""
        self.troubles: dict[str, str] = {}
        self.made: dict[Any, Call] = {}
        """Node of the pass that was followed last -> the layer whose output it made."""
        self._handles: list[Any] = []

    def seen(
        self, call: Call, entering: torch.Tensor | None, outputs: Sequence[torch.Tensor], edges: Sequence[Any]
    ) -> None:
        """Add the forward numbers of a call, and be there when its gradients come."""
        sums = self.by_key.setdefault(call.key, self._made(call))
        output = next((o for o in outputs if o.is_floating_point() or o.is_complex()), None)
        if output is None:
            return
        if self._wants(call):
            self._forward(sums, call, entering, output)
        call.without_graph = output.grad_fn is None
        if not call.without_graph:
            self._backward(sums, call, output, outputs, edges)
        elif any(w.requires_grad for w in call.parameters):
            self.without_graph[call.key] = None

    def graph(self, call: Call, output: torch.Tensor, edges: Sequence[Any]) -> None:
        """Be there for the gradients of a call whose graph came only after it was seen."""
        call.without_graph = False
        self.without_graph.pop(call.key, None)
        self._backward(self.by_key[call.key], call, output, [output], edges)

    def merged(self, calls: Collection[Call]) -> None:
        """Drop the numbers of calls that were parts of an activation; what still arrives for them goes nowhere."""
        for call in calls:
            self.by_key.pop(call.key, None)
            self.without_graph.pop(call.key, None)
        gone = set(calls)
        self.made = {node: call for node, call in self.made.items() if call not in gone}

    def next_pass(self) -> None:
        """Forget the graph of the last pass, and the hooks that went with it."""
        self.made = {}
        self._handles = [handle for handle in self._handles if handle.hooks_dict_ref() is not None]

    def close(self) -> None:
        """Remove every hook."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.made = {}

    def _wants(self, call: Call) -> bool:  # noqa: ARG002  # for others
        """Say whether anything is to be taken of a layer."""
        return True

    def _made(self, call: Call) -> Any:
        """Return what collects the numbers of a layer."""
        return LayerSums(call.activation, call.parameter)

    def _forward(self, sums: Any, call: Call, entering: torch.Tensor | None, output: torch.Tensor) -> None:
        after = array(output, channels_first=call.channels_first)
        if call.kind != "activation" or entering is None:
            sums.add_forward(after, after, None)
            return
        wanted = slopes(call.activation, call.parameter, entering) if sums.wants_slopes else None
        sums.add_forward(array(entering, channels_first=call.channels_first), after, wanted)

    def _left(self, sums: Any, gradient: torch.Tensor, *, elementwise: bool) -> None:
        """Add dL/d output. elementwise: the layer is an activation alone, whose pre-activation is its input."""
        after = array(gradient)
        sums.add_backward([], None if elementwise else after, after)

    def _entered(self, sums: Any, gradients: Sequence[torch.Tensor], *, elementwise: bool) -> None:
        """Add dL/d input of each input."""
        entering: list[Array | None] = [array(g) for g in gradients]
        sums.add_backward(entering, entering[0] if elementwise else None, None)

    def _backward(
        self,
        sums: Any,
        call: Call,
        output: torch.Tensor,
        outputs: Sequence[torch.Tensor],
        edges: Sequence[Any],
    ) -> None:
        """Hook the nodes of one call."""
        elementwise = call.kind == "activation"
        made = {edge for o in outputs if (edge := node_of(o, self.made)) is not None}
        if not self._wants(call):
            self.made.update((node, call) for node, _ in made)
            return
        ends = crossings([node for node, _ in made], edges, self.made)

        def leaves(gradient: torch.Tensor) -> None:
            self.backward.add(call.key)
            self._left(sums, gradient, elementwise=elementwise)

        def enters(gradients: dict[int, torch.Tensor]) -> None:
            self._entered(sums, list(gradients.values()), elementwise=elementwise)

        at = node_of(output, self.made)
        if at is not None:
            self._handles.append(on_output(at, self._guarded(call, leaves)))
        self._handles.extend(on_inputs(ends, self._guarded(call, enters)))
        self.made.update((node, call) for node, _ in made)

    def _guarded(self, call: Call, then: Any) -> Any:
        """Return the function so that the user's backward pass goes on whatever happens in it; that is then told.

        It is not called in a backward pass that is itself differentiated (`create_graph`): of a gradient penalty, which
        is no gradient of the loss.
        """

        def run(value: Any) -> None:
            if torch.is_grad_enabled():
                return
            try:
                then(value)
            except Exception as error:
                self.troubles.setdefault(call.function, f"{type(error).__name__}: {error}".splitlines()[0])

        return run
