"""Prepares a DENO_DIR for DSPy's sandbox, so that tests need no network: sandbox.py FOLDER

DSPy's runner.js imports Pyodide, which is fetched from npm, and one function of Deno's standard library,
from deno.land. That one is written here: registries of packages do not have it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

from deno import find_deno_bin

READ_LINES = r"""
export async function* readLines(reader) {
  const decoder = new TextDecoder(), buffer = new Uint8Array(65536);
  let rest = "";
  for (let count; (count = await reader.read(buffer)) !== null; ) {
    const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split("\n");
    rest = lines.pop();
    yield* lines.map((line) => line.replace(/\r$/, ""));
  }
  if (rest) yield rest;
}
"""


def imported(pattern: str, text: str) -> str:
    found = re.findall(rf'from "({pattern})"', text)
    assert len(found) == 1, f"runner.js imports {found}"
    return found[0]


def keep(folder: pathlib.Path, url: str, text: str) -> None:
    """Puts what an address has where Deno (2.9) looks before it fetches."""
    scheme, rest = url.split("://")
    host, path = rest.split("/", 1)
    kept = folder / "remote" / scheme / host / hashlib.sha256(f"/{path}".encode()).hexdigest()
    kept.parent.mkdir(parents=True, exist_ok=True)
    headers = {"content-type": "application/javascript"}
    metadata = json.dumps({"headers": headers, "url": url, "time": 0})
    kept.write_text(f"{text}\n// denoCacheMetadata={metadata}")


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    dspy = importlib.util.find_spec("dspy")
    assert dspy is not None and dspy.origin is not None
    runner = pathlib.Path(dspy.origin).parent / "primitives/runner.js"
    text = runner.read_text()
    keep(folder, imported(r"https://[^\"]+/io/mod\.ts", text), READ_LINES)
    pyodide = imported(r"npm:pyodide@[^\"]+", text).removesuffix("/pyodide.js")
    for what in (pyodide, str(runner)):
        command = [find_deno_bin(), "cache", "--quiet", "--no-config", "--no-lock", what]
        subprocess.run(command, env={**os.environ, "DENO_DIR": str(folder)}, check=True)


if __name__ == "__main__":
    main()
