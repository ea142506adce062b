"""The official Python client, in the three ways it can agree on a revision.

The checks are those of ../checks.mjs, as a Python program meets them.
"""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from checks import check, equal, expect, finish, setting, text
from features import exercise

INVALID_PARAMS = -32602
TOOLS = [
    "echo",
    "getAuthInfo",
    "getUserProfile",
    "listSessions",
    "refreshToken",
    "revokeOtherSessions",
    "revokeSession",
]

MODERN = "2026-07-28"
WAYS = {"legacy": "2025-11-25", "auto": MODERN, MODERN: MODERN}


class User:
    def __init__(self, letter):
        self.token = setting(f"HOST_TOKEN_{letter}")
        self.id = setting(f"HOST_USER_{letter}")
        self.email = setting(f"HOST_EMAIL_{letter}")


URL = setting("HOST_URL")
# Calls of the service `types`: at least one of each of its tools, and what comes of it.
CALLS = json.loads((Path(__file__).parent.parent / "types.json").read_text(encoding="utf-8"))
USERS = [User("A"), User("B")]
FIRST = USERS[0]

@asynccontextmanager
async def connected(way, token=None, answers=None):
    """A client that has seen the list of tools, so that it validates what they return."""

    async def record(answer):
        if answers is not None:
            answers.append((answer.status_code, answer.headers.get("www-authenticate", "")))

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(headers=headers, timeout=30, event_hooks={"response": [record]}) as http:
        async with Client(streamable_http_client(URL, http_client=http), mode=way) as client:
            await client.list_tools()
            yield client


def succeeded(result):
    expect(not result.is_error, f"the tool failed: {text(result)}")
    expect(result.structured_content is not None, "there is no structured content")
    equal(json.loads(text(result)), result.structured_content, "the text")
    return result.structured_content


def assert_profile(result, user):
    profile = succeeded(result)
    equal(profile.get("userId"), user.id, "userId")
    equal(profile.get("email"), user.email, "email")
    for field, value in profile.items():
        expect(value is not None and value != "undefined", f"`{field}` is {value} instead of absent")


def assert_echo(result, user, message):
    said = succeeded(result)
    equal(said.get("message"), message, "message")
    equal(said.get("userId"), user.id, "userId")
    equal(said.get("userEmail"), user.email, "userEmail")
    expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", said["timestamp"]), said["timestamp"])
    # Before 3.11, `fromisoformat` reads neither `Z` nor every number of decimals.
    when = datetime.strptime(said["timestamp"][:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    expect(abs((datetime.now(timezone.utc) - when).total_seconds()) < 60, f"the time is {said['timestamp']}")


async def refused(way, token):
    """Calls a protected tool, which the host must answer with 401; returns the challenge."""
    answers = []
    try:
        async with connected(way, token, answers) as client:
            await client.call_tool("getUserProfile", {})
    except Exception:
        challenges = [challenge for status, challenge in answers if status == 401]
        expect(challenges, f"no answer was 401; the answers were {[status for status, _ in answers]}")
        expect(challenges[0].startswith("Bearer"), f"the challenge is {challenges[0]!r}")
        return challenges[0]
    raise AssertionError("the call went through")


async def agrees(way):
    async with connected(way) as client:
        equal(client.protocol_version, WAYS[way], "the revision")


async def lists(way):
    async with connected(way) as client:
        listed = (await client.list_tools()).tools
    names = [tool.name for tool in listed]
    equal(names, sorted(names), "the order of tools")
    tools = {tool.name: tool for tool in listed}
    for name in TOOLS:
        expect(name in tools, f"`{name}` is not listed; listed are {names}")
        expect(tools[name].description, f"`{name}` has no description")
        equal(tools[name].input_schema.get("type"), "object", f"the input of `{name}`")
        expect(tools[name].output_schema, f"`{name}` has no output schema")
    schema = tools["echo"].input_schema
    equal(list(schema["properties"]), ["message"], "what echo takes")
    equal(schema["required"], ["message"], "what echo needs")
    equal(schema["properties"]["message"]["minLength"], 1, "the least length of `message`")
    equal(list(tools["getUserProfile"].input_schema.get("properties", {})), [], "what getUserProfile takes")


async def lists_types(way):
    async with connected(way) as client:
        listed = (await client.list_tools()).tools
    names = [tool.name for tool in listed if tool.name not in TOOLS]
    equal(names, sorted({call["tool"] for call in CALLS}), "the tools of `types`")


async def every_type(way):
    async with connected(way, FIRST.token) as client:
        for call in CALLS:
            what = f"{call['tool']} of {call['arguments']}"
            result = await client.call_tool(call["tool"], call["arguments"])
            if "error" in call:
                expect(result.is_error, f"{what} went through")
                equal(text(result), call["error"], what)
                equal(result.structured_content, None, what)
                continue
            expect(not result.is_error, f"{what}: {text(result)}")
            structured = call["structured"]
            equal(result.structured_content, structured, what)
            if structured is None:
                equal(text(result), "ok", what)
            # The text is the same JSON, or a string that is the whole result.
            elif text(result) != structured.get("result"):
                equal(json.loads(text(result)), structured, what)


async def auth_info(way):
    async with connected(way) as client:
        info = succeeded(await client.call_tool("getAuthInfo", {}))
    expect(info["provider"] and info["tokenUsage"], f"a provider and a usage are named in {info}")
    expect(info["issuer"].startswith("http"), info["issuer"])
    equal(info["tokenRequired"], True, "tokenRequired")


async def own_profiles(way):
    for user in USERS:
        async with connected(way, user.token) as client:
            assert_profile(await client.call_tool("getUserProfile", {}), user)


async def own_echoes(way):
    for user in USERS:
        message = f'Grüße, 世界: "{user.id}"\n\0\U0001F54A'
        async with connected(way, user.token) as client:
            assert_echo(await client.call_tool("echo", {"message": message}), user, message)


async def stay_apart(way):
    async with connected(way, USERS[0].token) as one, connected(way, USERS[1].token) as other:
        clients = [one, other]

        async def call(n):
            result = await clients[n % 2].call_tool("echo", {"message": str(n)})
            assert_echo(result, USERS[n % 2], str(n))

        await asyncio.gather(*(call(n) for n in range(40)))


async def token_in_meta(way):
    async with connected(way) as client:
        meta = {"authorization": {"type": "bearer", "token": FIRST.token}}
        assert_profile(await client.call_tool("getUserProfile", {}, meta=meta), FIRST)


async def wrong_token_in_meta(way):
    async with connected(way) as client:
        meta = {"authorization": {"token": FIRST.token + "x"}}
        result = await client.call_tool("getUserProfile", {}, meta=meta)
    expect(result.is_error, "the call went through")
    expect(FIRST.token not in result.model_dump_json(), "the answer repeats the token")


async def without_token(way):
    challenge = await refused(way, None)
    expect("error=" not in challenge, f"nothing is wrong with no token, but: {challenge}")


async def with_wrong_token(way):
    challenge = await refused(way, FIRST.token + "x")
    expect('error="invalid_token"' in challenge, challenge)


async def empty_message(way):
    async with connected(way, FIRST.token) as client:
        result = await client.call_tool("echo", {"message": ""})
    expect(result.is_error, "the call went through")
    expect("message" in text(result), text(result))


async def unknown_tool(way):
    async with connected(way, FIRST.token) as client:
        try:
            await client.call_tool("noSuchTool", {})
        except MCPError as error:
            equal(error.code, INVALID_PARAMS, "the code")
            return
    raise AssertionError("the call went through")


CHECKS = {
    "agrees on a revision": agrees,
    "lists the tools without a token": lists,
    "lists every tool of the service with all types": lists_types,
    # The client validates each of them against the listed schema, with its own validator.
    "every type comes back valid": every_type,
    "getAuthInfo answers without a token": auth_info,
    "getUserProfile shows each of two users itself": own_profiles,
    "echo says which of two users spoke": own_echoes,
    "forty calls of two users at once stay apart": stay_apart,
    "a token in _meta is a token": token_in_meta,
    "a wrong token in _meta is an error the model can read": wrong_token_in_meta,
    "without a token, a protected tool is 401": without_token,
    "with a wrong token, it is 401 as well": with_wrong_token,
    "an empty message is an error the model can read": empty_message,
    f"an unknown tool is {INVALID_PARAMS}": unknown_tool,
}


async def main():
    for way, version in WAYS.items():
        for what, body in CHECKS.items():
            await check(way, what, body(way))
        await exercise(way, version)


asyncio.run(main())
finish()
