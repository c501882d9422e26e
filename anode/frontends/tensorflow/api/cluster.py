"""`tf.train.ClusterSpec` and `Server`: a cluster of one task, which is this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.devices import DeviceSpec, merged
from anode.frontends.tensorflow.formats import proto
from anode.frontends.tensorflow.opdef import export


@export("train.ClusterSpec")
class ClusterSpec:
    """Jobs and the addresses of their tasks: a dict, a ClusterDef or another ClusterSpec."""

    def __init__(self, cluster: Any) -> None:
        self._tasks = _tasks(cluster)

    @property
    def jobs(self) -> list[str]:
        return list(self._tasks)

    def as_dict(self) -> dict[str, Any]:
        """Addresses by job: a list, or a dict where the task numbers have gaps."""
        return {
            job: list(tasks.values()) if list(tasks) == list(range(len(tasks))) else dict(tasks)
            for job, tasks in self._tasks.items()
        }

    def as_cluster_def(self) -> Any:
        definition = proto.ClusterDef()
        for job, tasks in self._tasks.items():
            definition.job.add(name=job, tasks=tasks)
        return definition

    def _job(self, job_name: str) -> dict[int, str]:
        if job_name not in self._tasks:
            raise ValueError(f"No such job in cluster: {job_name!r}")
        return self._tasks[job_name]

    def num_tasks(self, job_name: str) -> int:
        return len(self._job(job_name))

    def task_indices(self, job_name: str) -> list[int]:
        return list(self._job(job_name))

    def job_tasks(self, job_name: str) -> list[Any]:
        """The addresses by task number; None in the gaps."""
        tasks = self._job(job_name)
        return [tasks.get(i) for i in range(max(tasks, default=-1) + 1)]

    def task_address(self, job_name: str, task_index: int) -> str:
        tasks = self._job(job_name)
        if task_index not in tasks:
            raise ValueError(f"No task with index {task_index!r} in job {job_name!r}")
        return tasks[task_index]

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClusterSpec) and self._tasks == other._tasks

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        rows = ", ".join(f"{job!r}: {tasks!r}" for job, tasks in self.as_dict().items())
        return f"ClusterSpec({{{rows}}})"


def _tasks(cluster: Any) -> dict[str, dict[int, str]]:
    """Job -> task number -> address, in order."""
    if isinstance(cluster, ClusterSpec):
        return cluster._tasks
    if isinstance(cluster, Mapping):
        jobs = dict(cluster)
    elif hasattr(cluster, "job"):
        jobs = {job.name: dict(job.tasks) for job in cluster.job}
    else:
        raise TypeError(
            "`cluster` must be a dictionary mapping one or more job names to lists of network "
            "addresses, or a `ClusterDef` protocol buffer"
        )
    found = {}
    for job in sorted(jobs):
        tasks = jobs[job]
        pairs = tasks.items() if isinstance(tasks, Mapping) else enumerate(tasks)
        found[job] = {int(index): str(address) for index, address in sorted(pairs)}
    return found


@export("train.Server", "distribute.Server")
class Server:
    """The server of this process's task, in a cluster that has no other.

    UnsupportedOp for a cluster of several tasks: anode does not connect processes.
    """

    def __init__(
        self,
        server_or_cluster_def: Any,
        job_name: str | None = None,
        task_index: int | None = None,
        protocol: str | None = None,
        config: Any = None,
        start: bool = True,
    ) -> None:
        if hasattr(server_or_cluster_def, "cluster"):
            definition = server_or_cluster_def
            job_name = job_name or definition.job_name
            task_index = definition.task_index if task_index is None else task_index
            server_or_cluster_def = definition.cluster
        self._cluster = ClusterSpec(server_or_cluster_def)
        jobs = self._cluster.jobs
        count = sum(self._cluster.num_tasks(job) for job in jobs)
        if count > 1:
            raise UnsupportedOp(
                f"tf.train.Server with {count} tasks: anode runs in one process; give a cluster of "
                "one task, or leave the server out"
            )
        self._job, self._task = job_name or jobs[0], task_index or 0
        address = self._cluster.task_address(self._job, self._task)
        self._address, self._stopped = address, threading.Event()

    @property
    def target(self) -> str:
        """What Session takes as its target."""
        return f"grpc://{self._address}"

    @property
    def server_def(self) -> Any:
        return proto.ServerDef(
            cluster=self._cluster.as_cluster_def(),
            job_name=self._job,
            task_index=self._task,
            protocol="grpc",
        )

    def start(self) -> None:
        """Sessions of this process need no server."""

    def join(self) -> None:
        """Wait for ever, as a parameter server does."""
        self._stopped.wait()

    @staticmethod
    def create_local_server(config: Any = None, start: bool = True) -> Server:
        return Server({"localhost": ["localhost:0"]}, config=config, start=start)


@export("train.replica_device_setter")
def replica_device_setter(
    ps_tasks: int = 0,
    ps_device: str = "/job:ps",
    worker_device: str = "/job:worker",
    merge_devices: bool = True,
    cluster: Any = None,
    ps_ops: Sequence[str] | None = None,
    ps_strategy: Callable[[Any], int] | None = None,
) -> Callable[[Any], str] | None:
    """A device function for `tf.device`: variables on the parameter servers in turn.

    An op that has a device keeps its parts; the whole of it unless `merge_devices`.
    """
    if cluster is not None:
        tasks = _tasks(cluster)
        job = ps_device.replace("/job:", "").split("/")[0]
        ps_tasks = len(tasks.get(job) or ())
    if not ps_tasks:
        return None
    stored = tuple(ps_ops or ("Variable", "VariableV2", "AutoReloadVariable", "VarHandleOp"))
    count = iter(range(1 << 62))
    strategy = ps_strategy or (lambda op: next(count) % ps_tasks)

    def device(op: Any) -> str:
        if op.device and not merge_devices:
            return str(op.device)
        if not ps_device or op.type not in stored:
            return merged(worker_device or "", op.device)
        own, job = DeviceSpec.from_string(ps_device), DeviceSpec.from_string(op.device).job
        task = strategy(op) if own.job and job in (None, own.job) else own.task
        return merged(own.replace(task=task).to_string(), op.device)

    return device
