"""unvanish shows where a deep network's gradient dies, says why, and what to change first.

import unvanish
print(unvanish.check(model, x, y))      # a compiled Keras model and its data
"""

from unvanish import keras as keras
from unvanish.api import check, compare, cure, forecast, load, plot_grad_flow, watch
from unvanish.core.comparison import Comparison
from unvanish.core.diagnosis import Diagnosis
from unvanish.core.forecast import Forecast
from unvanish.core.recording import Recording
from unvanish.diagnosing import __version__
from unvanish.errors import UnvanishError
from unvanish.trial.cure import Cure

__all__ = [
    "Comparison",
    "Cure",
    "Diagnosis",
    "Forecast",
    "Recording",
    "UnvanishError",
    "__version__",
    "check",
    "compare",
    "cure",
    "forecast",
    "load",
    "plot_grad_flow",
    "watch",
]
