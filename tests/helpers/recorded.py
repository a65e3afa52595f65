"""Record a torch training loop with the parts that watch one, around parameters that the test chooses."""

from contextlib import contextmanager

import torch

from unvanish.torch.clips import Clips
from unvanish.torch.hooks import Hooks
from unvanish.torch.into_session import IntoSession
from unvanish.torch.patches import Patches
from unvanish.torch.roots import Roots
from unvanish.torch.steps import Steps
from unvanish.torch.tally import Tally
from unvanish.watching.session import Plan, Session


class Noted(Clips):
    """Note also the norms that are there at the step: what is left after clipping."""

    def __init__(self, wanted):
        super().__init__(wanted)
        self.left = []

    def raw(self, parameter, at_step):
        self.left.append((id(parameter), float(at_step.norm)))
        return super().raw(parameter, at_step)


class Recorded:
    """Hold the parts, and the recording once the context is left."""

    def __init__(self, model, kernels, steps=100):
        self.session = Session(Plan(steps=steps), [f"k{i}" for i in range(len(kernels))], [1] * len(kernels), None, _ok)
        self.session.interval = 1
        self.roots = Roots(lambda: self.steps.pass_begins(), lambda: self.steps.backward_ended())
        self.clips = Noted(lambda parameter: self.steps.wants(parameter))
        samples = IntoSession(self.session)
        self.steps = Steps(model.parameters(), samples, Tally(kernels), self.clips, self.roots, self.roots.loss)

    @property
    def recording(self):
        return self.session.recording()

    def row(self, stat, sample=0):
        return self.recording.array(stat)[sample]


def _ok(*_):
    pass


@contextmanager
def recorded(model, kernels=None, steps=100):
    """Watch every step in the context; kernels: the parameters to record, by default all."""
    with torch.no_grad():
        seen = Recorded(model, list(model.parameters()) if kernels is None else kernels, steps)
    patches = Patches()
    try:
        seen.roots.install(patches)
        seen.clips.install(patches)
        with Hooks(seen.steps.before, seen.steps.after):
            yield seen
        seen.steps.close()
    finally:
        patches.undo()
