"""A real browser without a screen, driven over its DevTools protocol through a pair of pipes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--remote-debugging-pipe", "--enable-unsafe-swiftshader", "--window-size=1300,900"),
)
# All elements of a kind, those of shadow trees and frames too; and the words that are in them.
DEEP = """
function deep(selector, root = document) {
  const found = [...root.querySelectorAll(selector)];
  for (const e of root.querySelectorAll("*"))
    for (const inner of [e.shadowRoot, e.contentDocument])
      if (inner) found.push(...deep(selector, inner));
  return found;
}
const own = e => [...e.childNodes].filter(n => n.nodeType == 3).map(n => n.data).join("").trim();
const words = (selector = "*") => deep(selector).map(own).filter(text => text);
"""


class Browser:
    """A page that scripts are run in; `close` it."""

    def __init__(self, folder: Path) -> None:
        assert BROWSER is not None
        (theirs_in, self._out), (self._in, theirs_out) = os.pipe(), os.pipe()

        def connect() -> None:  # the protocol's pipes are the descriptors 3 and 4
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate((theirs_in, theirs_out))]
            for fd, wanted in zip(high, (3, 4), strict=True):
                os.dup2(fd, wanted)

        self._process = subprocess.Popen(
            [BROWSER, *FLAGS, f"--user-data-dir={folder / 'profile'}"],
            preexec_fn=connect,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._count, self._session = b"", 0, ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def _call(self, method: str, **params: Any) -> Any:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self) -> Any:
        while b"\0" not in self._buffer:
            piece = os.read(self._in, 1 << 16)
            assert piece, "the browser ended"
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        expression = f"(() => {{{DEEP} return {script}}})()"
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """The value of an expression as soon as it is true, within the watchdog's `seconds`."""
        end = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.1)
        return found

    def shoot(self, path: Path) -> None:
        """Write a picture of the page."""
        data = self._call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
