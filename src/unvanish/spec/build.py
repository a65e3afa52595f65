"""Build the network that a description tells of, its weights as an initialiser would draw them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from unvanish.core.network import Edge, Layer, Network, WeightStats
from unvanish.errors import UsageError
from unvanish.spec import arguments
from unvanish.spec.grammar import Group, Word, parse, refuse
from unvanish.spec.layers import Fields, described, shape_of, told

MOST_LAYERS = 20_000
_WITH_WEIGHTS = ("dense", "conv", "simple_rnn")


def build(text: str, *, initialiser: str = "glorot_uniform", features: int | None = None) -> Network:
    """Return the network as a record; no weight is drawn. Raise UsageError where the text tells of none.

    features: of an input; without it, and without `input(...)` as the first word, as many as the first dense layer has
    units. Biases are zero (but torch's), and normalisations have scale 1 and shift 0.
    """
    items = parse(text)
    words = list(_words(items))
    first = next((word for word in words if word.name in _WITH_WEIGHTS), None)
    if first is None:
        raise UsageError("the network has no dense layer", found=text, hint="a layer with weights is dense(64, tanh)")
    return _Builder(text, initialiser).network(items, _shape(text, words, first, features))


def _words(items: Sequence[Word | Group]) -> Iterator[Word]:
    for item in items:
        if isinstance(item, Group):
            yield from _words(item.items)
        else:
            yield item


def _shape(text: str, words: Sequence[Word], first: Word, features: int | None) -> tuple[int, ...]:
    """Return the shape of an input, which the first word tells, or `features`, or the first dense layer."""
    for word in words[1:]:
        if word.name == "input":
            refuse(text, word.place, "input(...) is the first word of a network")
    told_first = words[0] if words[0].name == "input" else None
    if told_first is not None and told_first.times > 1:
        refuse(text, told_first.place, "a network has one input(...)")
    if told_first is not None:
        return tuple(arguments.whole(text, told_first, i, "the shape") for i in range(len(told_first.arguments)))
    if first.name != "dense" and features is None:
        refuse(text, 0, f"the shape of an input is not known, which {first.name} needs", ("input(32, 32, 3)",))
    return (features or arguments.whole(text, first, 0, "the number of units"),)


class _Builder:
    """Put layers behind each other, from the input to the output."""

    def __init__(self, text: str, initialiser: str) -> None:
        self.text, self.initialiser = text, initialiser
        self.layers: list[Layer] = []
        self.edges: list[Edge] = []
        self.numbers: Counter[str] = Counter()

    def network(self, items: Sequence[Word | Group], shape: tuple[int, ...]) -> Network:
        """Return the whole network."""
        self.layers.append(Layer(name="input", kind="input", type="input", units=shape[-1], shape=shape))
        self.all(items)
        if len(self.last.shape) > 1:
            what = f"the network ends in {told(shape_of(self.last))} values, places and all"
            refuse(self.text, len(self.text.rstrip()), what, ("flatten, dense(10)", "global_avg_pool, dense(10)"))
        return Network(
            name=self.text,
            framework="",
            library="torch" if self.initialiser == "torch" else "keras",
            layers=tuple(self.layers),
            edges=tuple(self.edges),
            outputs=(self.last.name,),
        )

    @property
    def last(self) -> Layer:
        return self.layers[-1]

    def all(self, items: Sequence[Word | Group]) -> None:
        for item in items:
            for _ in range(item.times):
                self.group(item) if isinstance(item, Group) else self.word(item)

    def group(self, group: Group) -> None:
        entry, before = self.last, shape_of(self.last)
        self.all(group.items)
        if not group.residual:
            return
        if shape_of(self.last) != before:
            what = f"residual(...) adds {told(before)} units that enter to {told(shape_of(self.last))} that leave"
            refuse(self.text, group.place, what, ("as many units at its end as before it",))
        if group.scale is not None:
            factor = WeightStats(mean=group.scale, variance=0.0, size=1)
            self.put("scale", group.place, {"kind": "scale", "scale": factor, "shape": before})
        self.put("add", group.place, {"kind": "add", "shape": before})
        self.edges.append(Edge(entry.name, self.last.name))

    def word(self, word: Word) -> None:
        if word.name != "input":
            self.put(word.name, word.place, described(word, self.last, self.text, self.initialiser))

    def put(self, stem: str, place: int, fields: Fields) -> None:
        if len(self.layers) > MOST_LAYERS:
            refuse(self.text, place, "the network is too deep to be told of", (f"at most {MOST_LAYERS} layers",))
        self.numbers[stem] += 1
        name = f"{stem}_{self.numbers[stem]}"
        self.edges.append(Edge(self.last.name, name))
        self.layers.append(Layer(name=name, type=stem, **({"units": fields["shape"][-1]} | fields)))
