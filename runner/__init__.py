"""Messages to Tolokers as code: validated, rendered, planned, sent and recorded.

From Python:

    project = runner.project("local")
    plan = project.plan()
    report = plan.send()
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.api.message import Message
    from runner.api.plan import Plan
    from runner.api.project import Project, project
    from runner.api.report import Report, Unfinished
    from runner.api.shown import Listing
    from runner.errors import LaterError, MessagesError, Problem, RunnerError, SurroundingsError
    from runner.model import Result

__version__ = "0.1.0"

# Loaded when it is asked for: the command has to start quickly.
_PLACES = {
    "Message": "api.message",
    "Plan": "api.plan",
    "Project": "api.project",
    "project": "api.project",
    "Report": "api.report",
    "Unfinished": "api.report",
    "Listing": "api.shown",
    "LaterError": "errors",
    "MessagesError": "errors",
    "Problem": "errors",
    "RunnerError": "errors",
    "SurroundingsError": "errors",
    "Result": "model",
}
__all__ = [
    "LaterError",
    "Listing",
    "Message",
    "MessagesError",
    "Plan",
    "Problem",
    "Project",
    "Report",
    "Result",
    "RunnerError",
    "SurroundingsError",
    "Unfinished",
    "__version__",
    "project",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'runner' has no attribute {name!r}")
    found: object = getattr(import_module(f"runner.{_PLACES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return __all__
