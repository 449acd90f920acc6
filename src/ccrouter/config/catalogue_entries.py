"""The whole catalogue, in the order in which it is shown."""

from __future__ import annotations

from ccrouter.config.catalogue import Entry
from ccrouter.config.catalogue_hosts import HOSTS
from ccrouter.config.catalogue_makers import MAKERS

ENTRIES: tuple[Entry, ...] = (*MAKERS, *HOSTS)
