"""`unvanish.watch(model)`: see every layer while a loop of any kind trains it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from unvanish.torch.compat import uncompiled
from unvanish.torch.requirements import require_model
from unvanish.torch.watching import Watching
from unvanish.watching import stop_on as stopping
from unvanish.watching.pace import Every, Pace, valid
from unvanish.watching.readable import Readable
from unvanish.watching.run import Run, to_stream
from unvanish.watching.views import view_of

NOTHING = "nothing was recorded: no optimizer took a step with this model's gradients"


class Watch(Readable):
    """Record gradient, weight and update norms of every layer while the model is trained, within a budget.

        with unvanish.watch(model) as watch:
            for x, y in batches:
                ...
        watch.recording.array("gradient_norm")

    Whatever optimizers step the model's parameters are heard. Norms are of the raw gradient of each sampled step:
    before clipping, after unscaling, accumulated; in a process group those of this process's optimizer, which DDP has
    averaged by then. A step that is compiled together with its optimizer is not heard of.

    The passes of some samples are looked into, for what the layers give and pass on of the gradient: see
    core.recording.ACTIVATION_STATS. Not where anything is compiled.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        every: Every = "auto",
        budget: float = 0.01,
        title: str = "",
        folder: str | Path | None = None,
        live: bool = False,
        stop_on: stopping.Severity | None = None,
    ) -> None:
        """See `unvanish.watch`. Raise UsageError or UnsupportedError where there is nothing to watch."""
        valid(every, budget)
        stopping.valid(stop_on)
        require_model(model)
        inner, pace = _inner(model), Pace(every, budget, glances=True, looks=True)
        framework = f"PyTorch {torch.__version__.split('+')[0]}"
        home = None if folder is None else Path(folder)
        title = title or type(inner).__name__
        view = view_of(title, live=live)
        self._run = Run(title, framework, pace, home=home, tell=to_stream(sys.stderr), stop_on=stop_on, view=view)
        self._watching = Watching(inner, pace, self._run)

    def close(self) -> None:
        """Watch no more, leave nothing behind, write what is left. May be called again."""
        try:
            self._watching.__exit__()
        finally:
            self.begun.ends(self._watching.done)

    def __enter__(self) -> Watch:
        """Watch from here on."""
        self._watching.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        """Watch no more; a training that was stopped ends here."""
        self.close()
        if kind is None and not self._watching.done:
            to_stream(sys.stderr)(NOTHING)
        return kind is stopping.Stopped


def _inner(model: torch.nn.Module) -> torch.nn.Module:
    """Return the module that was compiled or is trained in parallel: its layers have the names that its owner knows."""
    inner = uncompiled(model)
    while isinstance(inner, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
        inner = uncompiled(inner.module)
    found: torch.nn.Module = inner
    return found
