"""A real browser for pages: Chromium without a window, spoken to over its own protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from waiting import LIMIT_S, wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0", "about:blank",
)  # fmt: skip


class Browser:
    """One tab. ``told`` gathers what its console and its policies complain of."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._number = socket, 0
        self.told: list[str] = []
        for domain in ("Page", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        """One request, and its answer; what happens meanwhile is kept."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": values}))
        while True:
            message = json.loads(self._socket.recv(timeout=LIMIT_S))
            if message.get("method") == "Log.entryAdded":
                self.told.append(message["params"]["entry"]["text"])
            if message.get("method") == "Runtime.exceptionThrown":
                self.told.append(json.dumps(message["params"]))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]

    def open(self, page: Path) -> None:
        """Open a file and wait until it and its images are there."""
        self.told.clear()
        # The page before stays for a while, and may be the same one.
        self.ask("window.isLeft = true")
        self.call("Page.navigate", url=page.resolve().as_uri())
        wait_for(
            lambda: self.ask(
                "!window.isLeft && document.readyState == 'complete' && "
                f"location.href.endsWith({json.dumps(page.name)})"
            )
        )

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, code: str, alt: bool = False, shift: bool = False) -> None:
        """Press a key, by its place on the keyboard: ``Enter``, ``Digit1``."""
        key = {"code": code, "key": code.removeprefix("Digit"), "modifiers": alt + 8 * shift}
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **key)


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """Start Chromium with a profile in a folder; downloads go to ``folder/downloads``."""
    from websockets.sync.client import connect

    profile, downloads = folder / "profile", folder / "downloads"
    process = subprocess.Popen(
        [str(CHROMIUM), f"--user-data-dir={profile}", *FLAGS],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port_file = profile / "DevToolsActivePort"
        wait_for(
            lambda: port_file.exists() and len(port_file.read_text().splitlines()) == 2, process
        )
        port, path = port_file.read_text().splitlines()
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, open_timeout=LIMIT_S) as whole:
            whole.send(json.dumps({"id": 1, "method": "Target.getTargets", "params": {}}))
            found = json.loads(whole.recv(timeout=LIMIT_S))["result"]["targetInfos"]
            target = next(one["targetId"] for one in found if one["type"] == "page")
            allow = {"behavior": "allow", "downloadPath": str(downloads)}
            whole.send(
                json.dumps({"id": 2, "method": "Browser.setDownloadBehavior", "params": allow})
            )
            assert "error" not in json.loads(whole.recv(timeout=LIMIT_S))
            address = f"ws://127.0.0.1:{port}/devtools/page/{target}"
            with connect(address, max_size=None, open_timeout=LIMIT_S) as tab:
                yield Browser(tab)
            whole.send(json.dumps({"id": 3, "method": "Browser.close", "params": {}}))
        process.wait(timeout=LIMIT_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
