"""Everything else that a client can do, with the service `conformance`: the checks of ../features.mjs."""

import asyncio
import base64
import json
import os
import shutil
import time
import warnings
from pathlib import Path
from urllib.parse import urljoin

import httpx2
from mcp import Client, MCPError, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning

from checks import check, equal, expect, setting, text

# Of what newer revisions have no more, the older ones still have a method.
warnings.simplefilter("ignore", MCPDeprecationWarning)

INVALID_PARAMS = -32602
MODERN = "2026-07-28"
URL = setting("HOST_FEATURES_URL")
FOLDER = Path(setting("HOST_FOLDER"))
WATCHED = "test://watched-resource"
PLAIN = "This is a simple text response for testing."


class Person:
    """Who answers what the host asks, and is told what it tells."""

    def __init__(self):
        self.elicit = None
        self.sample = None
        self.roots = None
        self.tools_changed = asyncio.Queue()
        self.resource_updated = asyncio.Queue()

    async def on_elicit(self, _context, params):
        return self.elicit(params)

    async def on_sample(self, _context, params):
        return self.sample(params)

    async def on_roots(self, _context):
        return self.roots()

    async def on_message(self, message):
        if isinstance(message, types.ToolListChangedNotification):
            self.tools_changed.put_nowait(None)
        elif isinstance(message, types.ResourceUpdatedNotification):
            self.resource_updated.put_nowait(str(message.params.uri))


async def happens(queue):
    return await asyncio.wait_for(queue.get(), 5)


class Connection:
    def __init__(self, client, person, transport):
        self.client = client
        self.person = person
        self.transport = transport

    async def call(self, name, arguments=None, **options):
        return await self.client.call_tool(name, arguments or {}, **options)

    async def names(self):
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def lists_tools(self):
        tools = {tool.name: tool for tool in (await self.client.list_tools()).tools}
        equal(list(tools), sorted(tools), "the order of tools")
        for name in ["json_schema_2020_12_tool", "test_simple_text", "test_tool_with_progress"]:
            expect(name in tools, f"`{name}` is not listed; listed are {list(tools)}")
        value = tools["test_custom_header"].input_schema["properties"]["value"]
        equal(value.get("x-mcp-header"), "Value", "the header of `value`")

    async def calls(self):
        equal(text(await self.call("test_simple_text")), PLAIN)
        value = " größer als 3 "
        equal(text(await self.call("test_custom_header", {"value": value})), f"Header value: {value}")
        failed = await self.call("test_error_handling")
        expect(failed.is_error, "the call went through")
        equal(text(failed), "This tool intentionally returns an error for testing")

    async def identity(self):
        profile = (await self.call("getUserProfile")).structured_content
        equal(profile["userId"], setting("HOST_USER_A"), "who the token is for")

    async def content(self):
        content = (await self.call("test_multiple_content_types")).content
        equal([part.type for part in content], ["text", "image", "resource"], "the parts")
        equal(content[1].mime_type, "image/png", "the type of the picture")
        equal(base64.b64decode(content[1].data)[1:4], b"PNG", "the picture")
        equal(json.loads(content[2].resource.text), {"test": "data", "value": 123}, "the resource")

    async def prompts(self):
        prompts = {prompt.name: prompt for prompt in (await self.client.list_prompts()).prompts}
        prompt = prompts["test_prompt_with_arguments"]
        arguments = [(argument.name, argument.required) for argument in prompt.arguments]
        equal(arguments, [("arg1", True), ("arg2", True)], "the arguments")
        ref = types.PromptReference(name=prompt.name)
        completed = await self.client.complete(ref, {"name": "arg1", "value": "test"})
        equal(completed.completion.values, ["testing", "test value"], "the completions")
        [message] = (await self.client.get_prompt(prompt.name, {"arg1": "one", "arg2": "2"})).messages
        equal((message.role, message.content.text), ("user", "Prompt with arguments: arg1='one', arg2='2'"))

    async def resources(self):
        uris = [str(resource.uri) for resource in (await self.client.list_resources()).resources]
        equal(uris, ["test://static-binary", "test://static-text", WATCHED], "the resources")
        templates = (await self.client.list_resource_templates()).resource_templates
        equal([template.uri_template for template in templates], ["test://template/{id}/data"], "the templates")
        [said] = (await self.client.read_resource("test://static-text")).contents
        equal(said.mime_type, "text/plain", "the type")
        equal(said.text, "This is the content of the static text resource.")
        [picture] = (await self.client.read_resource("test://static-binary")).contents
        equal(base64.b64decode(picture.blob)[1:4], b"PNG", "the picture")
        [data] = (await self.client.read_resource("test://template/a%20b/data")).contents
        equal(json.loads(data.text), {"id": "a b", "templateTest": True, "data": "Data for ID: a b"}, "the data")

    async def progress(self):
        seen = []

        async def told(done, total, _message):
            seen.append((done, total))

        result = await self.call("test_tool_with_progress", progress_callback=told)
        equal(text(result), "Progress was reported")
        equal(seen, [(0, 100), (50, 100), (100, 100)], "the progress")

    async def elicitation(self):
        asked = []

        def answer(params):
            asked.append(params)
            return types.ElicitResult(action="accept", content={"username": "ada", "email": "ada@example.com"})

        self.person.elicit = answer
        said = text(await self.call("test_elicitation", {"message": "Who are you?"}))
        [params] = asked
        equal(params.message, "Who are you?", "the question")
        equal(list(params.requested_schema["properties"]), ["username", "email"], "the fields")
        equal(params.requested_schema["required"], ["username", "email"], "what must be filled in")
        for part in ["action=accept", "username=ada", "email=ada@example.com"]:
            expect(part in said, said)
        self.person.elicit = lambda _params: types.ElicitResult(action="decline")
        equal(text(await self.call("test_elicitation", {"message": "And now?"})), "User response: action=decline")

    async def all_at_once(self):
        def sample(params):
            [message] = params.messages
            [part] = message.content if isinstance(message.content, list) else [message.content]
            said = types.TextContent(type="text", text=f"{part.text}: {params.max_tokens}")
            return types.CreateMessageResult(role="assistant", model="a-model", stop_reason="endTurn", content=said)

        self.person.elicit = lambda _params: types.ElicitResult(action="accept", content={"name": "Ada"})
        self.person.sample = sample
        self.person.roots = lambda: types.ListRootsResult(roots=[types.Root(uri="file:///srv/notes", name="notes")])
        said = text(await self.call("test_input_required_result_multiple_inputs"))
        equal(said, "Hello, Ada!\nGenerate a greeting: 50\nClient roots: file:///srv/notes")

    async def two_rounds(self):
        asked = []
        answers = {"name": "Ada", "color": "blue", "context": "a poem"}

        def answer(params):
            [field] = params.requested_schema["properties"]
            asked.append(field)
            return types.ElicitResult(action="accept", content={field: answers[field]})

        self.person.elicit = answer
        equal(text(await self.call("test_input_required_result_multi_round")), "Ada likes blue")
        [message] = (await self.client.get_prompt("test_input_required_result_prompt")).messages
        equal(message.content.text, "Use this context: a poem")
        equal(asked, ["name", "color", "context"], "what was asked")

    async def resource_updated(self):
        await self.call("test_trigger_resource_update")
        equal(await happens(self.person.resource_updated), WATCHED, "what was updated")

    async def list_changed(self):
        expect("greet" not in await self.names(), "`greet` is there already")
        file = FOLDER / "mcp" / "newcomer.wasm"
        shutil.copyfile(setting("HOST_NEWCOMER"), f"{file}.new")
        os.rename(f"{file}.new", file)
        try:
            await happens(self.person.tools_changed)
            while "greet" not in await self.names():
                await happens(self.person.tools_changed)
            equal(text(await self.call("greet", {"name": "Ada"})), "hello, Ada")
        finally:
            file.unlink()
        await happens(self.person.tools_changed)
        while "greet" in await self.names():
            await happens(self.person.tools_changed)
        try:
            await self.call("greet", {"name": "Ada"})
        except MCPError as error:
            equal(error.code, INVALID_PARAMS, "the code")
        else:
            raise AssertionError("the call went through")

    async def cancels(self):
        progressed = asyncio.Queue()

        async def told(done, _total, _message):
            progressed.put_nowait(done)

        call = asyncio.create_task(self.call("test_cancellation", progress_callback=told))
        try:
            await happens(progressed)
            if self.transport == "HTTP":
                await running(1)
        finally:
            call.cancel()
            [outcome] = await asyncio.gather(call, return_exceptions=True)
        expect(isinstance(outcome, asyncio.CancelledError), f"the call ended with {outcome!r}")
        if self.transport == "HTTP":
            await running(0)
        equal(text(await self.call("test_simple_text")), PLAIN)


async def running(wanted):
    """Waits until the host says that this many calls are running."""
    deadline = time.monotonic() + 1
    async with httpx2.AsyncClient() as http:
        while True:
            count = (await http.get(urljoin(URL, "/health"))).json()["open"]["calls"]
            if count == wanted:
                return
            expect(time.monotonic() < deadline, f"{count} calls are running, expected {wanted}")


FEATURES = {
    "lists the tools": Connection.lists_tools,
    "calls a tool, and has an argument mirrored where the revision wants it": Connection.calls,
    "is given text, a picture and a resource": Connection.content,
    "lists prompts, completes an argument and gets one": Connection.prompts,
    "lists resources and templates, and reads them": Connection.resources,
    "is told how far a call is": Connection.progress,
    "answers what the person is asked": Connection.elicitation,
    "answers the person, the model and the folders at once": Connection.all_at_once,
    "answers in two rounds, each question once, and in a prompt": Connection.two_rounds,
    "is told that a resource has changed": Connection.resource_updated,
    "is told of a service that comes and goes": Connection.list_changed,
    "cancels a call": Connection.cancels,
}
OVER_STDIO = {"is known by the token in its environment": Connection.identity}


async def exercise(way, version):
    """All features, over both transports, each with one connection."""
    program = StdioServerParameters(
        command=setting("HOST_PROGRAM"),
        args=["serve", "--stdio", "--mcp-dir", str(FOLDER / "mcp")],
        cwd=FOLDER,
        env={"CLERK_ISSUER": setting("HOST_ISSUER"), "CLOISTER_TOKEN": setting("HOST_TOKEN_A")},
    )
    with open(FOLDER / "stdio.log", "a", encoding="utf-8") as log:
        transports = {"HTTP": lambda: streamable_http_client(URL), "stdio": lambda: stdio_client(program, log)}
        for transport, connect in transports.items():
            await over(way, version, transport, connect)


async def over(way, version, transport, connect):
    name = f"{way}, {transport}"

    async def all_features():
        person = Person()
        client = Client(
            connect(),
            mode=way,
            elicitation_callback=person.on_elicit,
            sampling_callback=person.on_sample,
            list_roots_callback=person.on_roots,
            message_handler=person.on_message,
        )
        async with client:
            connection = Connection(client, person, transport)
            if version == MODERN:
                async with client.listen(tools_list_changed=True, resource_subscriptions=[WATCHED]):
                    await judge(connection)
            else:
                await client.subscribe_resource(WATCHED)
                await judge(connection)

    async def judge(connection):
        equal(connection.client.protocol_version, version, "the revision")
        features = FEATURES | OVER_STDIO if transport == "stdio" else FEATURES
        for what, feature in features.items():
            await check(name, what, feature(connection))

    await check(name, "connects, agrees on a revision and leaves", all_features())
