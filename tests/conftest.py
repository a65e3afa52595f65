"""What every test shares: a quiet CPU backend, fixed seeds, and what a missing backend or browser means.

A test marked `keras`, `browser`, `parquet` or `ray` is skipped where its need is missing. UNVANISH_REQUIRE (for example
`tensorflow,jax,torch,browser`, set in CI) turns every skip of such a test into a failure. Keras picks its backend when
it is imported, so that each has its own run: KERAS_BACKEND=jax pytest -m every_backend.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Generator
from typing import Any

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", MPLBACKEND="Agg")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.pop("TF_USE_LEGACY_KERAS", None)

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None)
hypothesis.settings.load_profile("fixed")

BACKEND = os.environ["KERAS_BACKEND"]
BACKENDS = ("jax", "tensorflow", "torch")
PACKAGES = ("pyarrow", "ray")
COMPILED = tempfile.TemporaryDirectory(prefix="unvanish-jax-")
"""What JAX compiles in this run: most tests build the same few networks, and that takes half the time."""

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", COMPILED.name)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

NEEDS = {"keras": BACKEND, "torch": "torch", "browser": "browser", "parquet": "pyarrow", "ray": "ray"}
"""Marker -> the name by which UNVANISH_REQUIRE asks for what the marked tests need."""

SAME_BITS = "same bits"
"""Recorded by a test as (which training, how often it was sampled), where it ended as it does unwatched."""
BITS: dict[str, list[str]] = {}
REQUIRED = frozenset(filter(None, os.environ.get("UNVANISH_REQUIRE", "").replace(" ", "").split(",")))
PASSED: Counter[str] = Counter()


def missing(need: str) -> str:
    """Return what is missing of a need, in words; empty when everything is there."""
    if need in (*BACKENDS, *PACKAGES):
        wanted = (need, "keras") if need == BACKEND else (need,)
        names = [name for name in wanted if importlib.util.find_spec(name) is None]
        return f"not installed: {', '.join(names)}" if names else ""
    names = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"not on the path: {', '.join(names)}" if names else ""


def version(need: str) -> str:
    """Return the versions of what a need is served by."""
    if need in (*BACKENDS, *PACKAGES):
        versions = {name.lower().replace("_", "-"): v for name, v in _distributions()}
        built = next((name for name in (need, f"{need}-cpu") if name in versions), need)
        keras = f"keras {versions.get('keras', '?')} on " if need == BACKEND else ""
        return f"{keras}{built} {versions.get(built, '?')}"
    return subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=False).stdout.strip()


def _distributions() -> list[tuple[str, str]]:
    return [(found.metadata["Name"], found.version) for found in importlib.metadata.distributions()]


def pytest_configure(config: pytest.Config) -> None:
    known = {"browser", *PACKAGES, *BACKENDS}
    if REQUIRED - known:
        raise pytest.UsageError(f"UNVANISH_REQUIRE names {sorted(REQUIRED - known)}; known: {sorted(known)}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, need in NEEDS.items():
        if item.get_closest_marker(marker) and (lack := missing(need)):
            pytest.skip(f"{need} is {lack}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    needs = [need for marker, need in NEEDS.items() if item.get_closest_marker(marker)]
    if report.skipped and not hasattr(report, "wasxfail") and REQUIRED.intersection(needs):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"UNVANISH_REQUIRE={','.join(sorted(REQUIRED))}: {reason}"
    if report.passed and report.when == "call":
        PASSED.update(needs)
        for name, value in report.user_properties:
            if name == SAME_BITS:
                training, every = value
                BITS.setdefault(training, []).append(every)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a test file that cannot be imported because a backend is not installed, unless this run's is required."""
    report = yield
    lack = missing(BACKEND) or missing("tensorflow")
    if report.failed and BACKEND not in REQUIRED and lack:
        cause = getattr(getattr(report, "call", None), "excinfo", None)
        error = cause.value.__cause__ if cause is not None else None
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in ("keras", *BACKENDS):
            report.outcome = "skipped"
            report.longrepr = (str(collector.path), 0, f"Skipped: {lack}")
    return report


@pytest.fixture(autouse=True)
def fixed_seeds(request: pytest.FixtureRequest) -> None:
    random.seed(0)
    np.random.seed(0)
    if request.node.get_closest_marker("torch") and "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    if request.node.get_closest_marker("keras") and "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.section("what was exercised")
    terminalreporter.line(f"python {sys.version.split()[0]}, numpy {np.__version__}")
    for training, how in sorted(BITS.items()):
        terminalreporter.line(f"the same bits as unwatched: {training}, every {', '.join(dict.fromkeys(how))}")
    for marker, need in NEEDS.items():
        lack = missing(need)
        served = f"{lack}; install it, or see README.md" if lack else version(need)
        terminalreporter.line(f"{need}: {PASSED[need]} tests marked {marker} passed ({served})")
