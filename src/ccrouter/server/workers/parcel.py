"""What is in force, packed for the other processes of the same service, and unpacked there: nothing is read twice, so
all serve by the very same.

A parcel has the secrets in it, in the clear. It goes through a pair of sockets that only these processes hold, is never
written anywhere, and comes from nobody else.
"""

from __future__ import annotations

import io
import pickle
from types import MappingProxyType
from typing import Any

from ccrouter.secret import Secret


class _Packer(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        """A Secret refuses to be pickled, for good reason: here alone it is done on purpose."""
        if type(obj) is Secret:
            return Secret, (obj.reveal(),)
        if type(obj) is MappingProxyType:
            return _read_only, (dict(obj),)
        return NotImplemented


def _read_only(content: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(content)


def pack(content: object) -> bytes:
    """`content`, plain data and secrets, as a parcel."""
    packed = io.BytesIO()
    _Packer(packed, protocol=pickle.HIGHEST_PROTOCOL).dump(content)
    return packed.getvalue()


def unpack(parcel: bytes) -> Any:
    """What was packed, by a process of this service."""
    return pickle.loads(parcel)  # noqa: S301 - see the module: nobody else can send one
