"""Rewrite the call that makes a layer, or applies an activation, as a plan says."""

from __future__ import annotations

import libcst as cst

from unvanish.errors import UnsupportedError
from unvanish.script.patches import spelling
from unvanish.script.patches.arguments import Arguments
from unvanish.script.patches.by_call import Call
from unvanish.script.patches.plan import Orthogonal
from unvanish.script.patches.source_file import SourceFile

KEPT = ("name", "dtype")
"""What an activation layer takes over from the one that it replaces."""
_OF_LAYERS = ("LeakyReLU", "ELU", "ReLU", "PReLU", "Softmax")


class LayerCall:
    """Hold one call of a file, and write what takes its place."""

    def __init__(self, source: SourceFile, call: Call) -> None:
        """Raise UnsupportedError where the call at the site is not one of Keras' own class or function."""
        self.node, self.plan = source.call_at(call.site), call.plan
        self._source, self._names, self._site = source, source.names, call.site
        self.where = f"{call.site.file}:{call.site.line}"
        self._quote = spelling.quote_of(source.module)
        self.applies, self._kind = self._called(call)

    def _called(self, call: Call) -> tuple[bool, str]:
        """Return (whether it applies a function to a tensor, the class or function of Keras)."""
        meanings = self._names.meanings(self.node.func)
        kinds = {layer.type for layer in call.layers}
        for kind in kinds:
            if f"keras.layers.{kind}" in meanings:
                return False, kind
        for meaning in sorted(meanings):
            if meaning.startswith(("keras.activations.", "keras.ops.")) and len(kinds) == 1:
                return True, meaning.rpartition(".")[2]
        raise UnsupportedError(
            f"what makes the layers at {self.where} is no class of keras.layers",
            found=self._code(self.node),
            numbers={"makes": ", ".join(sorted(kinds))},
            hint="call the class there: layers.Dense(...)",
        )

    def swap(self, node: cst.Call) -> cst.BaseExpression:
        """Return what takes the place of the call; see `rewritten`."""
        return self._source.fitted(self._site, self.node, self.rewritten(node)[0])

    def rewritten(self, node: cst.Call) -> tuple[cst.BaseExpression, list[cst.BaseExpression]]:
        """Return what takes the place of the call, and the layers that go behind it.

        node: the call, its own parts rewritten perhaps.
        """
        if self.applies:
            return self._applied(node), self._behind(None)
        arguments = Arguments(node, self._kind, self.where)
        if self.plan.activation is not None and self._kind in _OF_LAYERS:
            return self._other_layer(arguments), self._behind(arguments)
        split: list[cst.BaseExpression] = []
        if self.plan.activation is not None:
            old = arguments.value("activation")
            arguments.put("activation", self._activation(old))
        if self.plan.split:
            split = [self._norm(self.plan.split, arguments), self._alone(arguments)]
        for name in self.plan.usual:
            arguments.take(name)
        for name, value in self.plan.arguments:
            arguments.put(name, self._expression(value))
        if self.plan.mirrored is not None:
            arguments.put("kernel_initializer", self._expression(self.plan.mirrored.expression))
        if self.plan.orthogonal is not None:
            self._orthogonal(self.plan.orthogonal, arguments)
        made: cst.BaseExpression = arguments.changed()
        behind = [*split, *self._behind(arguments)]
        if self.plan.branch:
            if behind:
                raise UnsupportedError(f"a branch and a normalisation at {self.where} are not written together")
            made = cst.Call(cst.Name("ReZero"), [cst.Arg(made)])
        return made, behind

    def _orthogonal(self, orthogonal: Orthogonal, arguments: Arguments) -> None:
        new = self._expression(orthogonal.expression)
        if orthogonal.centred:
            arguments.take("kernel_initializer")
            arguments.spread(new)
        else:
            arguments.put("kernel_initializer", new)

    def _activation(self, old: cst.BaseExpression | None) -> cst.BaseExpression:
        """Return the new activation, spelled as the old one."""
        assert self.plan.activation is not None
        name, parameter = self.plan.activation
        text = spelling.activation(name, parameter)
        if not text.startswith('"'):
            return self._expression(text)
        if isinstance(old, cst.SimpleString) and len(old.quote) == 1:
            return cst.SimpleString(f"{old.quote}{name}{old.quote}")
        if isinstance(old, cst.Attribute) and any(
            meaning.startswith("keras.activations.") for meaning in self._names.meanings(old)
        ):
            return old.with_changes(attr=cst.Name(name))
        return self._expression(text)

    def _other_layer(self, arguments: Arguments) -> cst.BaseExpression:
        """Return a layer of another activation in the place of `layers.ReLU()`."""
        assert self.plan.activation is not None
        text = spelling.activation(*self.plan.activation)
        new = self._expression(text if not text.startswith('"') else f"keras.layers.Activation({text})")
        return self._with_kept(new, arguments)

    def _alone(self, arguments: Arguments) -> cst.BaseExpression:
        """Take the activation out of the layer, and return a layer that applies it."""
        old = arguments.take("activation")
        assert old is not None, "an activation that is not linear is given"
        call = self._expression("keras.layers.Activation()")
        assert isinstance(call, cst.Call)
        return self._with_kept(call.with_changes(args=[cst.Arg(old)]), arguments, ("dtype",))

    def _applied(self, node: cst.Call) -> cst.BaseExpression:
        """Return the call of another function for `ops.sigmoid(x)`."""
        if self.plan.activation is None:
            return node
        name, parameter = self.plan.activation
        if not spelling.activation(name, parameter).startswith('"'):
            made = self._expression(spelling.activation(name, parameter))
            return cst.Call(made, [node.args[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)])
        function: cst.BaseExpression = self._expression(f"keras.activations.{name}")
        if isinstance(node.func, cst.Attribute) and any(
            meaning.startswith("keras.activations.") for meaning in self._names.meanings(node.func)
        ):
            function = node.func.with_changes(attr=cst.Name(name))
        return node.with_changes(func=function, args=[node.args[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)])

    def _behind(self, arguments: Arguments | None) -> list[cst.BaseExpression]:
        return [self._norm(self.plan.behind, arguments)] if self.plan.behind else []

    def _norm(self, kind: str, arguments: Arguments | None) -> cst.BaseExpression:
        new = self._expression(f"keras.layers.{kind}()")
        if arguments is None:
            return new
        layout = arguments.value("data_format")
        if isinstance(layout, cst.SimpleString) and layout.evaluated_value == "channels_first":
            new = self._expression(f"keras.layers.{kind}(axis=1)")
        return self._with_kept(new, arguments, ("dtype",))

    def _with_kept(
        self, new: cst.BaseExpression, arguments: Arguments, kept: tuple[str, ...] = KEPT
    ) -> cst.BaseExpression:
        """Return the new layer with what it takes over from the old one."""
        assert isinstance(new, cst.Call)
        taken = Arguments(new, "", self.where)
        for name in kept:
            value = arguments.value(name)
            if value is not None:
                taken.put(name, value.deep_clone())
        return taken.changed()

    def _expression(self, text: str) -> cst.BaseExpression:
        """Return an expression in the script's own names and quotes."""
        text = self._names.spelled(text).replace('"', self._quote)
        return cst.parse_expression(text, config=self._source.module.config_for_parsing)

    def _code(self, node: cst.CSTNode) -> str:
        return " ".join(self._source.module.code_for_node(node).split())
