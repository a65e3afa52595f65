"""Put the stand-in for a model's train function in its place, and take it away again, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_NAME, _MAKES = "train_function", "make_train_function"


class Attached:
    """Hold a stand-in at a model, from its making to `detach`.

    `on_train_end` does not run when a fit raises. What raises in a step is the stand-in's to notice. What raises beside
    the steps, as in another callback, leaves it in its place until the model is trained again: Keras then asks for a
    train function before anything else.
    """

    def __init__(self, model: Any, stand_in: Callable[..., Any], made_anew: Callable[[], object] | None) -> None:
        """made_anew: called, once detached, when another training begins; None to stay in place."""
        self._model, self._made_anew = model, made_anew
        own = model.__dict__
        self._before = {name: own[name] for name in (_NAME, _MAKES) if name in own}
        self._laid: dict[str, Any] = {_NAME: stand_in, **({} if made_anew is None else {_MAKES: self._make})}
        own.update(self._laid)  # directly, so that the attribute trackers of Keras and TensorFlow do not see it

    @property
    def in_place(self) -> bool:
        """Say whether the stand-in is what the model's next step would call."""
        return self._model.__dict__.get(_NAME) is self._laid.get(_NAME, self)

    def detach(self) -> None:
        """Put back what was there, where nobody has put anything else there since. May be called again."""
        own, laid, self._laid = self._model.__dict__, self._laid, {}
        for name, ours in laid.items():
            if own.get(name) is not ours:
                continue
            if name in self._before:
                own[name] = self._before[name]
            else:
                del own[name]

    def give_way(self) -> None:
        """Be told that another training begins."""
        made_anew = self._made_anew
        self.detach()
        if made_anew is not None:
            made_anew()

    def _make(self, *args: Any, **kwargs: Any) -> Any:
        self.give_way()
        return getattr(self._model, _MAKES)(*args, **kwargs)


def of_a_fit(model: Any) -> Attached | None:
    """Return what a fit that is watched, or that raised while it was, has put in place; None for none."""
    made = getattr(model.__dict__.get(_MAKES), "__self__", None)
    return made if isinstance(made, Attached) else None
