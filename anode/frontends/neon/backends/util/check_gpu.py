"""Which GPUs there are: none, as anode's neon computes on the processor."""


def get_device_count(verbose: bool = False) -> int:
    """The number of GPUs."""
    return 0


def get_compute_capability(device_id: int | None = None, verbose: bool = False) -> float:
    """The compute capability of a GPU, 0 where there is none."""
    return 0.0


def ensure_gpu_capability(device_id: int) -> None:
    """Raises RuntimeError, as there is no GPU."""
    raise RuntimeError("anode's neon has no GPU backend; it computes on the processor")
