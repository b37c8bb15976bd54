"""The errors that reach a person: each is a problem document (RFC 9457), with a stable type and advice.

Problem
├── InvalidInput          422  a field that cannot be accepted; `errors` names each with a JSON pointer
├── Unauthenticated       401  no key, or one that is not valid
├── NotFound              404  nothing under that name or number
├── Conflict              409  what was asked for contradicts what is there
└── Unusable              422  well-formed, but nothing can be made of it

Each stage declares its own below these, in its `errors.py`. Rename a class and the wire stays: clients see `type`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import JsonValue

TYPE_PREFIX = "urn:mynah:problem:"


class Problem(Exception):
    """An error told to a person: what happened and what to do.

    type: slug that clients may act on and that has a heading in docs/errors.md. title: the same for every
    occurrence. detail: this occurrence. extensions: further members of the document.
    """

    type: str = "internal-error"
    title: str = "Something went wrong on our side"
    status: int = 500
    headers: Mapping[str, str] = MappingProxyType({})
    # Whether the same again may succeed later.
    passes: ClassVar[bool] = False

    def __init__(self, detail: str, **extensions: JsonValue) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extensions = extensions

    @classmethod
    def retold(cls, document: Mapping[str, Any]) -> "Problem":
        """The problem that a row keeps as its document."""
        problem = cls(document["detail"])
        problem.title = document["title"]
        problem.status = document["status"]
        return problem

    def document(self) -> dict[str, Any]:
        """The problem document, without the instance that only the edge knows."""
        return {
            "type": TYPE_PREFIX + self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extensions,
        }


class InvalidInput(Problem):
    """A field that cannot be accepted."""

    type = "invalid-input"
    title = "The request has a field that cannot be accepted"
    status = 422

    @classmethod
    def at(cls, pointer: str, detail: str) -> "InvalidInput":
        """One field at fault, by JSON pointer ("/cron")."""
        return cls(detail, errors=[{"pointer": pointer, "detail": detail}])


class Unauthenticated(Problem):
    """No API key, or one that is not valid."""

    type = "unauthenticated"
    title = "A valid API key is needed"
    status = 401
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})


class NotFound(Problem):
    """Nothing under that name or number."""

    type = "not-found"
    title = "There is nothing here"
    status = 404


class Conflict(Problem):
    """What was asked for contradicts what is there."""

    type = "conflict"
    title = "This contradicts what is already there"
    status = 409


class Unusable(Problem):
    """Well-formed, but nothing can be made of it."""

    type = "unusable"
    title = "Nothing can be made of this"
    status = 422
