"""The command line of neon 3's scripts."""

from __future__ import annotations

from typing import Any

from anode.frontends.ngraph.frontends.neon.argparser import NgraphArgparser
from anode.frontends.ngraph.transformers.base import NEON3


class NeonArgparser(NgraphArgparser):
    """NgraphArgparser with the backends of neon 3; the arguments are printed."""

    default_backend = "ngcpu"

    def backend_names(self) -> Any:
        return [*NEON3, *super().backend_names()]

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        parsed = super().parse_args(*args, **kwargs)
        print("Neon CommandLine Options")
        for name, value in vars(parsed).items():
            if value is not None:
                print(f"    {name} : {value}")
        return parsed
