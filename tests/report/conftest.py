"""The synthetic diagnoses, and a headless Chromium driven over the W3C WebDriver protocol with the standard library."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from unvanish.core.diagnosis import Diagnosis
from unvanish.testing import diagnoses
from unvanish.testing.hostile import hostile

BUILDERS: dict[str, Callable[[], Diagnosis]] = {
    "bare": diagnoses.bare,
    "deep": diagnoses.deep,
    "forgetful": diagnoses.forgetful,
    "healthy": diagnoses.healthy,
    "hostile": hostile,
    "nonfinite": diagnoses.nonfinite,
    "sick": diagnoses.sick,
    "undecided": diagnoses.undecided,
}
FLAGS = [
    "--headless=new",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,1000",
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which WebDriver hands out elements (W3C WebDriver, section 11)."""


@pytest.fixture(scope="session", params=sorted(BUILDERS))
def any_diagnosis(request: pytest.FixtureRequest) -> Diagnosis:
    return BUILDERS[request.param]()


class Browser:
    """One WebDriver session."""

    def __init__(self, server: str, profile: Path) -> None:
        self._open = build_opener(ProxyHandler({})).open
        self._server = server
        flags = [*FLAGS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self._path = ""
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._path = f"/session/{session['sessionId']}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        request = Request(self._server + (self._path if self._path else "") + path, data, headers, method=method)
        try:
            with self._open(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()}") from error

    def visit(self, page: Path) -> None:
        self.log("browser"), self.log("performance")
        self.call("POST", "/url", {"url": page.as_uri()})

    def log(self, kind: str) -> list[dict[str, Any]]:
        return list(self.call("POST", "/se/log", {"type": kind}))

    def script(self, code: str, *arguments: Any) -> Any:
        return self.call("POST", "/execute/sync", {"script": code, "args": list(arguments)})

    def inside(self, pictures: str) -> list[bool]:
        """Return of every line and text of these pictures whether it lies inside its own."""
        found = self.script(
            "return [...document.querySelectorAll(arguments[0])].flatMap(svg => {"
            "const f = svg.getBoundingClientRect();"
            "return [...svg.querySelectorAll('g[id*=line2d] path, text')].map(e => e.getBoundingClientRect())"
            ".filter(b => b.width > 0).map(b => b.left >= f.left - 2 && b.right <= f.right + 2"
            " && b.top >= f.top - 2 && b.bottom <= f.bottom + 2); })",
            pictures,
        )
        return list(found)

    def find(self, selector: str) -> str:
        return str(self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT])

    def click(self, selector: str) -> None:
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector: str, keys: str) -> None:
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": keys})

    def emulate(self, feature: str, value: str) -> None:
        parameters = {"features": [{"name": feature, "value": value}]}
        self.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": parameters})

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last look, data addresses left out.

        Not by a page of the browser's own: the one that it begins with may still be loading.
        """
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        asked = [one["request"]["url"] for one in sent if not one["documentURL"].startswith("chrome://")]
        return [url for url in asked if not url.startswith("data:")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert driver.stdout is not None
    try:
        port = next(
            m.group(1) for line in driver.stdout if (m := re.search(r"started successfully on port (\d+)", line))
        )
        session = Browser(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("chromium"))
        yield session
        session.call("DELETE", "")
    finally:
        driver.terminate()
        driver.wait(timeout=20)
        driver.stdout.close()
