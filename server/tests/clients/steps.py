"""Runs the steps of a client's script: each is a function; a failure is printed and counted, and the next step runs all the same."""

import asyncio
import inspect
import sys
import traceback

STEPS = []


def step(function):
    """Marks a function as a step, in the order of the file."""
    STEPS.append(function)
    return function


def fails_with(sqlstate, read, action):
    """Runs an action that must fail, and checks the SQLSTATE that the client read from the error."""
    try:
        action()
    except Exception as error:
        assert read(error) == sqlstate, f"{read(error)} instead of {sqlstate}: {error}"
        return
    raise AssertionError(f"no error where {sqlstate} was due")


def same(found, expected):
    assert found == expected, f"\n   found    {found!r}\n   expected {expected!r}"


async def _run(arguments):
    failed = 0
    for function in STEPS:
        try:
            done = function(*arguments)
            if inspect.isawaitable(done):
                await done
        except Exception:
            failed += 1
            lines = traceback.format_exc().strip().splitlines()
            print(f"FAILED {function.__name__}\n   " + "\n   ".join(lines[-14:]), flush=True)
    print(f"{len(STEPS) - failed} of {len(STEPS)} steps passed", flush=True)
    return failed


def run(*arguments):
    """Runs all steps with the arguments; the exit status says whether all passed."""
    sys.exit(1 if asyncio.run(_run(arguments)) else 0)
