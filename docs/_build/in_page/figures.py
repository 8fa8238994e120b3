"""Stand in for matplotlib, which is too large for a page: code that draws runs, and says so."""

from __future__ import annotations

from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

SENTENCE = "[No figure here: the script at the end of this page draws it.]"


class Drawing:
    """Whatever matplotlib would give: it takes everything and does nothing."""

    def __getattr__(self, name: str) -> Drawing:
        """Give any attribute but Python's own."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_values: object, **_options: object) -> Drawing:
        """Do nothing."""
        return self

    def __getitem__(self, _index: object) -> Drawing:
        """Give any part."""
        return self

    def __setitem__(self, _index: object, _value: object) -> None:
        """Change nothing."""

    def __iter__(self) -> Iterator[Drawing]:
        """Hold nothing."""
        return iter(())


class Matplotlib(ModuleType):
    """A module of matplotlib, whichever."""

    def __getattr__(self, name: str) -> Any:
        """Give any attribute but Python's own."""
        return getattr(Drawing(), name)

    def subplots(self, rows: int = 1, columns: int = 1, **_options: object) -> tuple[Drawing, Any]:
        """Give a figure, and axes in an array, as `matplotlib.pyplot.subplots` does."""
        axes = np.full((rows, columns), Drawing()).squeeze()
        return Drawing(), axes if axes.shape else axes.item()

    def show(self) -> None:
        """Say that there is no figure."""
        print(SENTENCE)


class Finder(MetaPathFinder, Loader):
    """Where there is no matplotlib, import this."""

    def find_spec(self, name: str, *_more: object) -> ModuleSpec | None:
        """Take every module of matplotlib."""
        mine = name.partition(".")[0] == "matplotlib"
        return ModuleSpec(name, self, is_package=True) if mine else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make an empty one."""
        return Matplotlib(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave it empty."""
