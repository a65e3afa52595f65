"""Watch a training loop of any kind: its sampled steps are read where the optimizers' hooks are, the others left alone.

Nothing is put into the model or its graph. Between two samples one call of ours is left in each step, in which the
optimizer is recognised and the pace asked; torch's own functions are wrapped for sampled iterations alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import torch
from numpy.typing import NDArray

from unvanish.core.nonfinite import Spoilt
from unvanish.core.observation import Observation
from unvanish.errors import UnsupportedError
from unvanish.torch.clips import Clips
from unvanish.torch.compat import anything_compiled
from unvanish.torch.first_pass import FirstPass
from unvanish.torch.held_passes import HeldPasses
from unvanish.torch.hooks import Hooks
from unvanish.torch.later import Later
from unvanish.torch.left_out import left_out
from unvanish.torch.looks import Looks
from unvanish.torch.norms import local
from unvanish.torch.owned import Owned
from unvanish.torch.patches import Patches
from unvanish.torch.rhythm import Rhythm
from unvanish.torch.roots import Roots
from unvanish.torch.steps import Steps
from unvanish.torch.tally import Number, Rows, Tally
from unvanish.watching.pace import Pace
from unvanish.watching.stop_on import Stopped

NOT_SEEN = "no forward pass of the model was seen that could be run again: it is compiled, or torch.func calls it"


class Takes(Protocol):
    """Take what the watched training gives."""

    def begins(self, layers: Sequence[str], sizes: Sequence[int], optimizer: str) -> None:
        """Be told of the layers with a kernel and their entries, before the first sample."""

    def judged(self, start: Observation, dtype: str) -> None:
        """Be told what is known before the first step, and in what the layers compute."""

    def sample(self, step: int, numbers: Later) -> None:
        """Take the sample of a step; `numbers` is to be called in another thread."""

    def says(self, step: int, kind: str, text: str) -> None:
        """Take a word about the watching itself."""

    def glance(self, step: int, mean: Callable[[], float], steps: int) -> None:
        """Take the loss of a step that was not sampled, to be called in another thread; steps: 0, it is no mean."""

    def stops(self) -> bool:
        """Say whether the training is to end before the step that comes."""

    def scaled(self) -> None:
        """Be told, before the sample of a step, that a dynamic loss scale is at work."""

    def spoilt(self, spoilt: Spoilt, values: Mapping[str, NDArray[Any]]) -> None:
        """Take where the first value comes from that is not finite, and what a replay of its step needs."""


class Watching:
    """Watch one model while the context lasts. What goes wrong on our side ends the watching, never the training."""

    def __init__(self, model: torch.nn.Module, pace: Pace, takes: Takes) -> None:
        """Put nothing anywhere yet."""
        self._model, self._pace, self._takes = model, pace, takes
        self._owned = Owned(model.parameters())
        self._rhythm = Rhythm(self._owned, pace, self)
        self._roots = Roots(self._pass_begins, self._pass_ends)
        self._held: HeldPasses | None = HeldPasses(model)
        self._clips = Clips(self._reads)
        self._first = FirstPass(model)
        self._into = Looks(model, self._first, pace, lambda why: takes.says(self.done, "activations", why))
        self._patches = Patches()
        self._look, self._looks = Roots(_nothing, _nothing), Patches()
        self._passes = 0
        self._steps: Steps | None = None
        self._paced = False
        self._warm = 0.0
        self._stack = ExitStack()

    @property
    def done(self) -> int:
        """Return the number of steps that were taken."""
        return self._rhythm.done

    def __enter__(self) -> Watching:
        """Listen: the first iteration is sampled."""
        self._stack.callback(self._looks.undo)
        self._stack.callback(self._patches.undo)
        self._stack.callback(self._end)
        self._look.install(self._looks)  # before anything is compiled with it
        self._looks.rest()
        self._roots.install(self._patches)
        self._clips.install(self._patches)
        if self._held is not None:
            self._held.install(self._patches)  # before the first pass is looked at, whose wrapper goes first
        self._into.install(self._patches)
        self._stack.enter_context(Hooks(self._before, self._after, self._rhythm.wanted))
        self._stack.enter_context(self._first)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind, whatever happened; the iteration that is open is kept."""
        with self._stack:
            if self._steps is not None and not self._rhythm.over:
                with self._guarded():
                    self._steps.close()

    def _end(self) -> None:
        self._rhythm.over = True
        self._let_go()
        self._into.close()
        if self._paced and self._rhythm.awake:
            self._pace.give_up()  # the sample that was to be next

    # --- the listener of the rhythm -----------------------------------------------------------------------------------

    def wake(self) -> None:
        """Wrap what the coming iteration calls."""
        self._patches.redo()

    def sleep(self) -> None:
        """Listen no more."""
        _out_of_the_way(self._patches, self._looks)
        self._roots.forget()
        self._clips.forget()
        self._let_go()

    def close(self) -> None:
        """End the iteration that is heard, if no backward pass is running, in which its optimizers step one by one."""
        if self._steps is not None and not self._roots.running:
            with self._guarded():
                self._steps.close()

    def other(self) -> None:
        """Let go of the losses before the step of another model's optimizer: they were its own."""
        if not self._roots.running:
            self._roots.forget()
            self._look.forget()

    def look(self) -> None:
        """Wrap what the coming iteration runs backward with."""
        with self._guarded(sampled=False):
            self._looks.redo()

    def looked(self, step: int) -> None:
        """Have the loss read, where it was run backward as often as those of the samples: not a search's trials."""
        with self._guarded(sampled=False):
            _out_of_the_way(self._looks)
            loss, passes = self._look.loss_there(), self._look.passes
            self._look.forget()
            if passes == self._passes > 0:
                self._takes.glance(step, lambda: float(loss), 0)

    # --- the samples of the steps -------------------------------------------------------------------------------------

    def wants(self) -> bool:
        """Say whether the present iteration is sampled."""
        return self._rhythm.awake

    def add(self, loss: Number, rows: Rows) -> None:
        """Hand a sample on."""
        self._into.fill(rows)
        if self._roots.dynamic_scale:
            self._takes.scaled()
        self._takes.sample(self._rhythm.done, Later(loss, rows))

    def counted(self) -> None:
        """Count the iteration."""
        self._into.forget()
        self._rhythm.counted()
        self._let_go()

    # --- hooks --------------------------------------------------------------------------------------------------------

    def _pass_begins(self) -> None:
        with self._guarded():
            self._begin_pace()
            if self._steps is not None and not self._rhythm.over:
                self._steps.pass_begins()
            elif self._first.over():
                self._pace.warmed_up(self._first.seconds)

    def _pass_ends(self) -> None:
        with self._guarded():
            if self._steps is not None and not self._rhythm.over:
                self._steps.backward_ended()

    def _before(self, optimizer: torch.optim.Optimizer) -> None:
        if self._takes.stops():
            raise Stopped
        with self._guarded():
            self._begin_pace()
            if self._steps is None:
                self._steps = self._begin(optimizer)
            self._passes = self._roots.passes
            self._into.rest()
            self._steps.before(optimizer)
            if self._held is not None and self._steps.spoilt:
                self._locate(self._held)

    def _locate(self, held: HeldPasses) -> None:
        """Say where the first value comes from that is not finite, while the weights are still those of its pass."""
        self._held = None
        try:
            found = held.spoilt(self._rhythm.done)
            if found is None:
                self._takes.says(self._rhythm.done, "unlocated", NOT_SEEN)
            else:
                self._takes.spoilt(*found)
        except Exception as error:  # a model that cannot be copied, no memory: watching goes on without
            self._takes.says(self._rhythm.done, "unlocated", f"{type(error).__name__}: {error}".splitlines()[0])
        finally:
            held.forget()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.forget()

    def _after(self, optimizer: torch.optim.Optimizer) -> None:
        with self._guarded():
            if self._steps is not None and not self._rhythm.over:
                self._steps.after(optimizer)

    def _reads(self, parameter: torch.Tensor) -> bool:
        return self._steps.wants(parameter) if self._steps is not None else not self._rhythm.over

    def _begin_pace(self) -> None:
        if not self._paced:
            self._paced = self._pace.stop(0)

    def _begin(self, optimizer: torch.optim.Optimizer) -> Steps:
        """Read the layers, now that a pass was made."""
        began = time.perf_counter()
        kernels, why = self._first.kernels()
        start = self._first.start(optimizer)
        self._first.__exit__()
        if not kernels:
            raise UnsupportedError(f"no layer of the model {type(self._model).__name__} has a kernel")
        if start is not None:
            self._takes.judged(start, str(next(iter(kernels.values())).dtype).removeprefix("torch."))
        self._takes.begins(list(kernels), [kernel.numel() for kernel in kernels.values()], type(optimizer).__name__)
        if why:
            self._takes.says(0, "order", f"layers stand in the order in which their modules are registered: {why}")
        for line in left_out(self._model, kernels.values(), optimizer):
            self._takes.says(0, "left out", line)
        self._into.begin(list(kernels))
        if any(local(kernel) is not kernel for kernel in kernels.values()):
            self._takes.says(0, "shard", "norms and counts are of the part of each kernel that this process holds")
        tally = Tally(list(kernels.values()), movement=False)
        self._warm = time.perf_counter() - began
        self._pace.warmed_up(self._warm)
        return Steps(self._model.parameters(), self, tally, self._clips, self._roots, self._roots.loss_there)

    @contextmanager
    def _guarded(self, *, sampled: bool = True) -> Iterator[None]:
        """Let the training go on whatever goes wrong here, and say so once; tell the pace what a sample's step took."""
        began, warm = time.perf_counter(), self._warm
        try:
            yield
        except Exception as error:
            self._rhythm.over = True
            self._into.close()
            self._let_go()
            self._patches.undo()
            self._looks.undo()
            self._takes.says(self._rhythm.done, "failed", f"{type(error).__name__}: {error}".splitlines()[0])
        finally:
            if sampled:
                self._pace.took(max(time.perf_counter() - began - (self._warm - warm), 0.0))


def _out_of_the_way(*patches: Patches) -> None:
    """Put back what was wrapped; where something is compiled that would be compiled again: there, pass it on."""
    for each in patches:
        (each.rest if anything_compiled() else each.undo)()


def _nothing() -> None:
    """Hear of a backward pass."""
