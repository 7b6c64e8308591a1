"""aiohttp, as Home Assistant's components use it: one session, several requests under way at once."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp


async def detect(session: aiohttp.ClientSession, picture: bytes) -> Any:
    form = aiohttp.FormData()
    form.add_field("min_confidence", "0.4")
    form.add_field("image", picture)  # no file name: aiohttp calls it `image`
    async with session.post(f"{sys.argv[1]}/v1/vision/detection", data=form) as answer:
        assert answer.status == 200
        assert not answer.headers.get("Transfer-Encoding")
        return (await answer.json())["predictions"]


async def main() -> None:
    picture = Path(sys.argv[2]).read_bytes()
    async with aiohttp.ClientSession() as session:
        found = await asyncio.gather(*(detect(session, picture) for _ in range(4)))
    print(json.dumps(found))


asyncio.run(main())
