"""Which adapter takes this object. Looks only at frameworks that are already imported, and imports none itself."""

from __future__ import annotations

import importlib
import importlib.util
import operator
import os
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from unvanish.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from unvanish.core.diagnosis import Cost
    from unvanish.core.network import Network
    from unvanish.core.observation import Observation
    from unvanish.core.profile import Profile


class Adapter(NamedTuple):
    """Say which class of which framework an adapter's room takes."""

    framework: str
    """The module that must be imported already for such an object to exist."""
    base: str
    """The class in it."""
    room: str

    def takes(self, model: object) -> bool:
        """Say whether the object is one of this framework's."""
        return _is_instance(model, self.framework, self.base)

    @property
    def check(self) -> Callable[..., tuple[Observation, Cost]]:
        """Return the function that looks at a model and its data, imported now."""
        look: Callable[..., tuple[Observation, Cost]] = importlib.import_module(f"{self.room}.check").check
        return look

    @property
    def look_once(self) -> Callable[..., tuple[Network, Profile]]:
        """Return the function that takes the gradients of a model once, imported now."""
        look: Callable[..., tuple[Network, Profile]] = importlib.import_module(f"{self.room}.check").look_once
        return look

    @property
    def describe(self) -> Callable[..., Network]:
        """Return the function that reads a model (and an example `input`, if need be) into a Network, imported now."""
        read: Callable[..., Network] = importlib.import_module(f"{self.room}.check").describe
        return read

    @property
    def example(self) -> Callable[[Any], Any]:
        """Return the function that makes an array of an example input (None where it can not), imported now."""
        take: Callable[[Any], Any] = importlib.import_module(f"{self.room}.arrays").example
        return take

    @property
    def watch(self) -> Callable[..., Any]:
        """Return the class that watches a model's steps, as a context manager, imported now."""
        watch: Callable[..., Any] = importlib.import_module(f"{self.room}.watch").Watch
        return watch

    @property
    def trainer_of(self) -> Callable[..., Any]:
        """Return the function that makes a trainer of a model and its data, imported now.

        Raise UnsupportedError where this version can look at such models but not train copies of them.
        """
        if self.room not in TRAINED:
            raise UnsupportedError(
                f"this version cannot try cures on models of {BACKENDS[self.framework.partition('.')[0]]}",
                found=f"a model of the class {self.framework}.{self.base}",
                numbers={"cured": "Keras 3, Sequential and Functional models"},
                hint="unvanish.check(model, x, y) names what is worth changing",
            )
        make: Callable[..., Any] = importlib.import_module(f"{self.room}.trial").trainer_of
        return make


TRAINED = frozenset({"unvanish.keras"})
"""Rooms that can train copies of a model."""

ADAPTERS: tuple[Adapter, ...] = (
    Adapter("keras", "Model", "unvanish.keras"),  # first: on the torch backend a Keras model is a torch module too
    Adapter("torch.nn", "Module", "unvanish.torch"),
)

NOT_YET: tuple[tuple[str, str, str], ...] = (
    ("flax.nnx", "Module", "Flax"),
    ("tf_keras", "Model", "Keras 2 (tf_keras)"),
)
"""Known models that this version cannot look at: module, class, name."""

LOOKED_AT = "Keras 3 on TensorFlow, JAX or torch; PyTorch"
"""What error messages say that this version takes."""

BACKENDS: dict[str, str] = {"jax": "JAX", "keras": "Keras", "tensorflow": "TensorFlow", "torch": "PyTorch"}
"""Module -> the name people know it by."""


EXTRAS: dict[str, str] = {"jax": "jax", "keras": "tensorflow", "tensorflow": "tensorflow", "torch": "torch"}
"""Module -> the extra of this package that installs it."""

_TENSORFLOW_CPU = 'without a GPU "unvanish[tensorflow-cpu]" is half as large (Linux x86-64)'
LIGHTER: dict[str, str] = {
    "keras": _TENSORFLOW_CPU,
    "tensorflow": _TENSORFLOW_CPU,
    "torch": 'without a GPU first install the CPU build, as PyTorch\'s page "Get Started" says (on Linux the other one '
    "brings CUDA, several GB)",
}
"""Module -> what else can be installed where there is no GPU."""


def adapter_of(model: object) -> Adapter:
    """Return the adapter that takes the model. Raise UnsupportedError for a known other one, else UsageError."""
    for adapter in ADAPTERS:
        if adapter.takes(model):
            return adapter
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    for framework, base, name in NOT_YET:
        if _is_instance(model, framework, base):
            raise UnsupportedError(
                f"this version cannot look at {name} models",
                found=f"an object of the class {kind}",
                numbers={"looked at": LOOKED_AT},
                hint="build the same network with Keras 3",
            )
    if not any(is_installed(module) for module in ("keras", "torch")):
        raise missing_backend("keras")
    raise UsageError(
        f"{_short(model)} is not a model that can be looked at",
        found=f"an object of the class {kind}",
        numbers={"looked at": LOOKED_AT},
        hint=_instead_of(model),
    )


def _instead_of(model: object) -> str:
    """Return what to pass, or to type, in place of something that is no model."""
    if isinstance(model, str | os.PathLike):
        path = shlex.quote(os.fspath(model) if isinstance(model, os.PathLike) else model)
        return f"a script is looked at from the shell: unvanish check {path}"
    if isinstance(model, type):
        return f"pass an object of the class: {model.__name__}(...)"
    return "pass a compiled Keras model, or a torch.nn.Module with its loss, as loss=torch.nn.MSELoss()"


def is_installed(module: str) -> bool:
    """Say whether the module is imported already or can be found. Imports nothing."""
    if sys.modules.get(module) is not None:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def missing_backend(module: str, *, wanted_by: str = "") -> UsageError:
    """Return the error that names the missing backend and the line to type. wanted_by: the line that asked for it."""
    extra = EXTRAS.get(module)
    install = f"{shlex.quote(sys.executable)} -m pip install " + (f'"unvanish[{extra}]"' if extra else module)
    lighter = f"; {LIGHTER[module]}" if module in LIGHTER else ""
    return UsageError(
        f"{BACKENDS.get(module, module)} is not installed where unvanish runs",
        found=f"no module named {module!r}" + (f", asked for at {wanted_by}" if wanted_by else ""),
        numbers={"python": sys.executable},
        hint=install + lighter,
    )


def _is_instance(model: object, framework: str, base: str) -> bool:
    module = sys.modules.get(framework)
    try:
        return module is not None and isinstance(model, operator.attrgetter(base)(module))
    except AttributeError:  # a framework that is only half imported
        return False


def _short(model: object, most: int = 60) -> str:
    text = repr(model)
    return text if len(text) <= most else f"{text[: most - 1]}…"
