"""The routes of the jobs API: those of vitrivr's feature-extraction service, and one that describes a model."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from connector.server.jobs import wire
from connector.server.jobs.catalogue import TASKS, ZERO_SHOT, task_of
from connector.server.jobs.job import Job, JobState
from connector.server.jobs.keys import Key
from connector.server.jobs.service import JobService
from connector.server.problems import Problem, responses

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern="^[ -~]+$",
        description="The same key with the same request makes one job, however often it is sent.",
    ),
]
ModelName = Annotated[str, Path(description="In kebab-case or snake_case.", examples=["demo"])]
_MANY = 16  # rows whose JSON the event loop writes itself


def jobs_router(service: JobService) -> APIRouter:
    """All routes beneath /api/, over one service."""
    router = APIRouter()
    for task in TASKS:
        _add_single(router, service, task)
        _add_batched(router, service, task)
        _add_legacy(router, service, task)
    _add_listings(router, service)
    _add_models(router, service)
    return router


def _add_single(router: APIRouter, service: JobService, task: str) -> None:
    bodies = wire.BODIES[task]

    def new_job(model: ModelName, body: Any, request: Request, idempotency_key: IdempotencyKey = None) -> Any:
        return _taken(service, body, model, _key(request, idempotency_key))

    async def get_job_results(job: str) -> Response:
        return await _told(service.get(job, batched=False, zero_shot=task == ZERO_SHOT))

    # The one thing that differs from task to task; FastAPI reads it from here.
    new_job.__annotations__["body"] = bodies.single
    router.post(
        f"/api/tasks/{task}/{{model}}/jobs",
        response_model=wire.JobStatus,
        responses=responses(404, 409) | _read_at(task, "get_job_results", "jobs"),
        summary="New-Job",
        tags=[task],
    )(new_job)
    router.get(
        f"/api/tasks/{task}/jobs/{{job}}",
        response_model=bodies.response,
        responses=responses(404),
        summary="Get-Job-Results",
        tags=[task],
    )(get_job_results)


def _add_batched(router: APIRouter, service: JobService, task: str) -> None:
    bodies = wire.BODIES[task]

    def new_batched_job(
        model: ModelName, body: Any, request: Request, idempotency_key: IdempotencyKey = None
    ) -> Any:
        return _taken(service, body, model, _key(request, idempotency_key))

    async def get_batched_job_results(job: str) -> Response:
        return await _told(service.get(job, batched=True, zero_shot=task == ZERO_SHOT))

    new_batched_job.__annotations__["body"] = bodies.batched
    router.post(
        f"/api/tasks/{task}/batched/{{model}}/jobs",
        response_model=wire.JobStatus,
        responses=responses(404, 409) | _read_at(task, "get_batched_job_results", "batched_jobs"),
        summary="New-Batched-Job",
        tags=[task],
    )(new_batched_job)
    router.get(
        f"/api/tasks/{task}/batched/jobs/{{job}}",
        response_model=bodies.batched_response,
        responses=responses(404),
        summary="Get-Batched-Job-Results",
        tags=[task],
    )(get_batched_job_results)


def _add_legacy(router: APIRouter, service: JobService, task: str) -> None:
    bodies = wire.BODIES[task]

    async def new_job_results(
        model: ModelName, body: Any, request: Request, idempotency_key: IdempotencyKey = None
    ) -> Response:
        job = await service.ended(body.ask(model), _key(request, idempotency_key))
        if job.failure is not None:
            retry = {"Retry-After": "2"} if job.failure.status == 503 else None
            raise Problem(job.failure.status, job.failure.code, job.failure.reason, headers=retry)
        return _json(wire.output_json(job))

    new_job_results.__annotations__["body"] = bodies.single
    router.post(
        f"/api/legacy/tasks/{task}/{{model}}/jobs",
        response_model=bodies.output,
        responses=responses(404, 409),
        summary="New-Job-Results",
        tags=[task],
    )(new_job_results)


def _add_listings(router: APIRouter, service: JobService) -> None:
    @router.get("/api/tasks", summary="List-All-Tasks", tags=["tasks"])
    async def list_all_tasks() -> list[str]:
        return list(TASKS)

    @router.get(
        "/api/tasks/{task}/models",
        responses=responses(404),
        summary="List-All-Models-For-Task",
        tags=["tasks"],
    )
    async def list_all_models_for_task(task: str) -> list[str]:
        wanted = task_of(task)
        return [model.name for model in service.catalogue if wanted in model.tasks]

    @router.get("/api/models", tags=["models"])
    async def list_all_models() -> list[str]:
        return [model.name for model in service.catalogue]

    @router.get(
        "/api/models/{model}/tasks",
        responses=responses(404),
        summary="List-All-Tasks-For-Model",
        tags=["models"],
    )
    async def list_all_tasks_for_model(model: ModelName) -> list[str]:
        return list(service.catalogue.find(model).tasks)


def _add_models(router: APIRouter, service: JobService) -> None:
    @router.post(
        "/api/models/{model}/start",
        response_class=Response,
        responses=responses(404),
        summary="Start-Model",
        tags=["models"],
    )
    async def start_model(model: ModelName) -> Response:
        """Load a model in the background; one that is loaded stays so."""
        service.start_model(model)
        return Response()

    @router.post(
        "/api/models/{model}/stop",
        response_class=Response,
        responses=responses(404),
        summary="Stop-Model",
        tags=["models"],
    )
    async def stop_model(model: ModelName) -> Response:
        """Unload a model once the jobs that wait for it are done; a later job loads it again."""
        service.stop_model(model)
        return Response()

    @router.get(
        "/api/models/{model}/status", responses=responses(404), summary="Get-Model-Status", tags=["models"]
    )
    async def get_model_status(model: ModelName) -> wire.ModelStatus:
        state, jobs = service.status(model)
        # Those that were begun since they were listed wait no longer.
        waiting = [job for job in jobs if job.state is JobState.STARTING]
        return wire.ModelStatus(status=state, jobs=[_status(job) for job in waiting])

    @router.get("/api/models/{model}", responses=responses(404), summary="Describe-Model", tags=["models"])
    async def describe_model(model: ModelName) -> wire.ModelDescription:
        """What makes a model's vectors; the model is loaded if it is not, and 503 says to ask again meanwhile."""
        found, engine = await service.loaded(model)
        frame = engine.frame
        return wire.ModelDescription(
            name=found.name,
            tasks=list(found.tasks),
            length=engine.length,
            frame=None
            if frame is None
            else wire.Frame(size=frame.size, fit=frame.fit, resample=frame.resample),
            identity=dict(engine.identity),
            normalised=found.normalised,
        )


def _taken(service: JobService, body: wire.Input, model: str, key: Key | None) -> wire.JobStatus:
    return _status(service.submit(body.ask(model), key))


def _read_at(task: str, name: str, tail: str) -> dict[int | str, dict[str, Any]]:
    """Says in the OpenAPI document where the job that a request has made is read."""
    operation = f"{name}_api_tasks_{task.replace('-', '_')}_{tail}__job__get"
    return {
        200: {"links": {"Result": {"operationId": operation, "parameters": {"job": "$response.body#/id"}}}}
    }


async def _told(job: Job) -> Response:
    if job.rows is not None and len(job.rows) > _MANY:
        return _json(await run_in_threadpool(wire.job_json, job))
    return _json(wire.job_json(job))


def _status(job: Job) -> wire.JobStatus:
    return wire.JobStatus(id=job.id, status=job.state)


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def _key(request: Request, word: str | None) -> Key | None:
    """The idempotency key of a request; callers with other API keys have words of their own."""
    if word is None:
        return None
    said = "\n".join(request.headers.get(name, "") for name in ("authorization", "x-api-key"))
    return Key(hashlib.blake2b(said.encode(), digest_size=16).hexdigest(), word)
