"""The least that FastAPI can do: one route that answers with a model, served as `mynah serve` serves. `python -m`."""

from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel

from app.foreground import run_server
from app.settings import Settings


class Answer(BaseModel):
    """As much as /healthz says."""

    status: Literal["ok"] = "ok"


def create_app() -> FastAPI:
    """One route, at the path of the service's own."""
    app = FastAPI()

    @app.get("/healthz")
    async def answer() -> Answer:
        return Answer()

    return app


if __name__ == "__main__":
    run_server(Settings(), create_app())
