"""What the checks of the Python client share."""

import asyncio
import os
import sys

passed = 0
failed = 0


def setting(name):
    value = os.environ.get(name)
    if not value:
        print(f"{name} is not set; tests/clients/run sets it", file=sys.stderr)
        sys.exit(2)
    return value


async def check(client, what, body):
    global passed, failed
    try:
        # No answer is worth waiting for longer than this; the host's own deadlines are far shorter.
        await asyncio.wait_for(body, 60)
    except Exception as error:
        failed += 1
        while isinstance(error, BaseException) and getattr(error, "exceptions", None):
            error = error.exceptions[0]
        reason = (str(error) or type(error).__name__).replace("\n", "\n      ")
        print(f"FAIL  Python 2.x, {client}: {what}\n      {reason}", flush=True)
    else:
        passed += 1
        print(f"ok    Python 2.x, {client}: {what}", flush=True)


def finish():
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


def expect(condition, otherwise):
    if not condition:
        raise AssertionError(otherwise)


def equal(actual, expected, what=""):
    expect(actual == expected, f"{what} is {actual!r}, expected {expected!r}")


def text(result):
    return "\n".join(block.text for block in result.content)
