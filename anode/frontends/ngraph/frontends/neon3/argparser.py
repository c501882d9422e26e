"""The command line of neon 3's scripts."""

from __future__ import annotations

from typing import Any

from anode.frontends.ngraph.frontends.neon.argparser import NgraphArgparser

BACKENDS = {"ngcpu": "cpu", "nginterp": "cpu", "nggpu": "gpu"}  # of the C++ nGraph


class NeonArgparser(NgraphArgparser):
    """NgraphArgparser with the backends of neon 3; the arguments are printed."""

    default_backend = "ngcpu"

    def backend_names(self) -> Any:
        return [*BACKENDS, *super().backend_names()]

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        parsed = super().parse_args(*args, **kwargs)
        print("Neon CommandLine Options")
        for name, value in vars(parsed).items():
            if value is not None:
                print(f"    {name} : {value}")
        return parsed

    def transformer_name(self, backend: str) -> str:
        return BACKENDS.get(backend, backend)
