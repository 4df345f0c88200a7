"""A script for mitmdump: runs the commands that stand in files of a folder, and writes what they give beside them.

`run(proxy, "balancer.pause", "work")` in tests leaves `N.ask` there and waits for `N.answer`.
"""

import asyncio
import json
import os
from pathlib import Path

from mitmproxy import ctx
from mitmproxy.exceptions import CommandError

FOLDER = Path(os.environ["COMMAND_FOLDER"])


def answer(name: str, args: list[str]) -> dict[str, object]:
    if name == "complete":
        kind = ctx.master.commands.commands[args[0]].parameters[0].type
        import mitmproxy.types

        return {"value": mitmproxy.types.CommandTypes.get(kind).completion(ctx.master.commands, kind, "")}
    if name == "help":
        return {"value": {n: [c.signature_help(), c.help] for n, c in ctx.master.commands.commands.items()}}
    try:
        return {"value": ctx.master.commands.execute(" ".join([name, *args]))}
    except CommandError as e:
        return {"error": str(e)}


async def serve() -> None:
    while True:
        for path in sorted(FOLDER.glob("*.ask")):
            name, *args = json.loads(path.read_text())
            path.unlink()
            done = path.with_suffix(".new")
            done.write_text(json.dumps(answer(name, args)))
            done.rename(path.with_suffix(".answer"))
        await asyncio.sleep(0.01)


class Runner:
    def running(self) -> None:
        self.task = asyncio.get_running_loop().create_task(serve())


addons = [Runner()]
