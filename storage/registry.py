"""Open lists: things known by a name, to which a user's own modules may add.

Lifters, methods, protocols, metrics, criteria, data sets, exchange and motion formats are each one list. An
entry is one file and one call of :meth:`Registry.add`; the project's own entries are added in the module of
their list, a user's in a module that a recipe names under ``plugins``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class PluginError(ValueError):
    """A module that a recipe names under ``plugins`` and that cannot be used."""


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries by name, in the order in which they were added.

    Parameters
    ----------
    kind : str
        What an entry is, for messages: ``lifter preset``.

    Examples
    --------
    >>> colours = Registry[str]("colour")
    >>> colours.add("red", "#ff0000")
    '#ff0000'
    >>> colours["red"]
    '#ff0000'
    >>> colours["blue"]
    Traceback (most recent call last):
    ...
    poseshift.storage.registry.UnknownNameError: no colour 'blue'; there are red
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry) -> Entry:
        """Add an entry and return it; the same entry may be added again, as when a module is reloaded.

        Raises
        ------
        ValueError
            Another entry has the name.
        """
        known = self._entries.get(name)
        if known is not None and known != entry:
            raise ValueError(f"there is another {self.kind} {name!r} already; choose another name")
        self._entries[name] = entry
        return entry

    def __getitem__(self, name: str) -> Entry:
        """Look up an entry; :class:`UnknownNameError` lists the names that there are."""
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(self.kind, name, self._entries) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


class UnknownNameError(ValueError, KeyError):
    """A name that is not in its list."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no {kind} {name!r}; there are {', '.join(sorted(known)) or 'none'}")

    def __str__(self) -> str:
        return str(self.args[0])


def load_plugins(modules: Iterable[str]) -> None:
    """Import the modules that add entries, from the installed packages or from the current folder.

    Parameters
    ----------
    modules : iterable of str
        Dotted names, such as ``my_lab.lifters``.

    Raises
    ------
    PluginError
        A module is not there, or raises an error when it is imported.
    """
    with _current_folder_on_path():
        for module in modules:
            try:
                importlib.import_module(module)
                _PLUGINS[module] = None
            except Exception as error:
                raise PluginError(
                    f"plugin {module!r} cannot be imported ({type(error).__name__}: {error}); install its "
                    f"package, or start from the folder that holds it (now {Path.cwd()})"
                ) from error


def loaded_plugins() -> tuple[str, ...]:
    """Name the plugins of this process, for processes that are to know the same entries."""
    return tuple(_PLUGINS)


_PLUGINS: dict[str, None] = {}
"""Names in the order in which they were first imported; modules are imported once per process, too."""


@contextmanager
def _current_folder_on_path() -> Iterator[None]:
    """Let modules of the current folder be found, after all that is installed."""
    folder = str(Path.cwd())
    if folder in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
