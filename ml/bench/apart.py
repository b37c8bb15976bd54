"""A measurement in a process of its own, so that it finds no memory, threads or imports that another one left."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

from ml.process import die_with_parent

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def run_apart(
    function: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
) -> Result:
    """What the function returns, called in a fresh process; function, arguments and result are pickled.

    Raises what the function raises, and BrokenProcessPool when its process is ended from outside.
    """
    spawn = get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn, initializer=die_with_parent) as process:
        return process.submit(function, *arguments, **named).result()
