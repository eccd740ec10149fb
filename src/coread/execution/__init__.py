"""Where jobs run: here, in a worker process, on a cluster."""

from coread.execution.executor import Executor, InlineExecutor, OnProgress, Report, Task, WorkerDiedError
from coread.execution.pool import ProcessPool
from coread.execution.worker import Handler, Worker, worker_is_alive, worker_name

__all__ = [
    "Executor",
    "Handler",
    "InlineExecutor",
    "OnProgress",
    "ProcessPool",
    "Report",
    "Task",
    "Worker",
    "WorkerDiedError",
    "worker_is_alive",
    "worker_name",
]
