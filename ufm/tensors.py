"""Arrays from files that other programs write: .npz, .safetensors, tensors-only .pt. No pickle is ever executed."""

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ufm.arrays import to_numpy
from ufm.errors import MissingExtraError, UfmError

# The names of the safetensors format; bfloat16, which NumPy lacks, is the upper half of a float32.
_DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "BF16": "<u2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}
_LARGEST_HEADER = 100_000_000  # bytes; the format's own limit


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Every array of a file, by name: .npz, .safetensors, or a .pt/.pth that holds a dictionary of tensors.

    Tensors inside nested dictionaries get dotted names. Raises UfmError for anything else, a pickled object above all.
    """
    path = Path(path)
    if not path.is_file():
        raise UfmError(f"{path}: no such file.")
    readers = {".npz": _npz, ".safetensors": _safetensors, ".pt": _torch, ".pth": _torch}
    if path.suffix not in readers:
        raise UfmError(f"{path}: this ending is not known; give one of {', '.join(readers)}.")
    return readers[path.suffix](path)


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise UfmError(f"{path} is not a .npz archive; write it with numpy.savez.")
            return dict(stored)
    except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise UfmError(f"{path} cannot be read: {error}.") from None


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    """Eight bytes with the length of a JSON header, the header, and the raw numbers, little-endian."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or not 2 <= size <= min(len(raw) - 8, _LARGEST_HEADER):
        raise UfmError(f"{path} is not a safetensors file: its header does not fit into it.")
    try:
        header = json.loads(raw[8 : 8 + size].decode())
    except ValueError:
        raise UfmError(f"{path} is not a safetensors file: its header is not JSON.") from None
    if not isinstance(header, dict):
        raise UfmError(f"{path} is not a safetensors file: its header is not a table of tensors.")
    data = memoryview(raw)[8 + size :]
    return {name: _tensor(path, name, entry, data) for name, entry in header.items() if name != "__metadata__"}


def _tensor(path: Path, name: str, entry: Any, data: memoryview) -> np.ndarray:
    try:
        kind, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        dtype = np.dtype(_DTYPES[kind])
        whole = all(type(n) is int and n >= 0 for n in (*shape, begin, end))
    except (KeyError, TypeError, ValueError):
        raise UfmError(f"{path}: the entry of {name!r} is not one that can be read: {str(entry)[:80]}.") from None
    if not whole or end > len(data) or end - begin != math.prod(shape) * dtype.itemsize:
        raise UfmError(f"{path}: {name!r} does not have the size that its header says.")
    array = np.frombuffer(data[begin:end], dtype).reshape(shape)
    return (array.astype("<u4") << 16).view("<f4") if kind == "BF16" else array


def _torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ModuleNotFoundError:
        raise MissingExtraError("torch", "train", f"reading {path.name}") from None
    import pickle
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on storage formats; nothing of it concerns the numbers
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError):
        raise UfmError(f"{path} holds more than tensors, or is damaged; save a dictionary of tensors only.") from None
    if not isinstance(stored, dict):
        raise UfmError(f"{path} holds a {type(stored).__name__}; save a dictionary of tensors.")
    return dict(_flat(stored, ""))


def _flat(stored: dict[Any, Any], prefix: str) -> list[tuple[str, np.ndarray]]:
    found = []
    for name, value in stored.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        elif hasattr(value, "detach"):
            found.append((f"{prefix}{name}", to_numpy(value)))
    return found
