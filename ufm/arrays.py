"""Array backends: the one file that names them. Engine code takes `xp = array_namespace(...)` once per solve."""

import importlib
import importlib.util
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj, is_cupy_array, is_numpy_array, to_device

from ufm.errors import MissingExtraError, UfmError

Array = Any  # any array-API array: the standard has no common base class
Namespace = Any
Backend = Literal["auto", "numpy", "cupy", "torch"]
_SHORT = ("bfloat16", "float8_", "float6_", "float4_")  # floats that torch and JAX have and NumPy lacks

__all__ = ["Array", "Backend", "Namespace", "array_namespace", "eigh", "namespace_of", "to_numpy", "transposed"]


def namespace_of(backend: Backend = "auto") -> Namespace:
    """The array namespace of a backend; "auto" is CuPy where a CUDA device answers, else NumPy."""
    if backend not in ("auto", "numpy", "cupy", "torch"):
        raise UfmError(f"backend = {backend!r}: choose 'auto', 'numpy', 'cupy' or 'torch'.")
    if backend == "cupy" or (backend == "auto" and importlib.util.find_spec("cupy") is not None):
        reason = _why_no_cuda()
        if reason is None:
            return importlib.import_module("array_api_compat.cupy")
        if backend == "cupy":
            raise UfmError(f"backend = 'cupy': {reason}; use backend='numpy', or 'auto' to fall back by itself.")
    if backend == "torch":
        if importlib.util.find_spec("torch") is None:
            raise MissingExtraError("torch", "train", "backend='torch'")
        return importlib.import_module("array_api_compat.torch")
    return importlib.import_module("array_api_compat.numpy")


def _why_no_cuda() -> str | None:
    """None where CuPy and a CUDA device answer, else one clause that says what is missing."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        return 'CuPy is not installed (pip install "ufm[cuda12]" or "ufm[cuda13]")'
    try:
        found = cupy.cuda.runtime.getDeviceCount()
    except Exception:  # CuPy raises its own runtime error where there is no driver
        found = 0
    return None if found else "no CUDA device answers"


def to_numpy(x: Array) -> np.ndarray:
    """Any backend's array as a NumPy array on the host; floats that NumPy lacks, bfloat16 above all, as float32."""
    if is_numpy_array(x) or not hasattr(x, "shape"):
        return _known(np.asarray(x))
    if is_cupy_array(x):  # which copies to the host when it is told to
        return x.get()
    if hasattr(x, "detach"):
        short = str(x.dtype).removeprefix("torch.").startswith(_SHORT)
        return np.asarray(to_device((x.float() if short else x).detach(), "cpu"))
    if not is_array_api_obj(x):  # a table of pandas, a labelled array: they know how to become NumPy's
        return _known(np.asarray(x))
    host = array_namespace(x).__array_namespace_info__().default_device()
    return _known(np.asarray(to_device(x, host)))


def _known(x: np.ndarray) -> np.ndarray:
    """float32 for the short floats that JAX adds to NumPy's."""
    return x.astype(np.float32) if x.dtype.name.startswith(_SHORT) else x


def eigh(A: Array) -> tuple[Array, Array]:
    """Eigenvalues, rising, and orthonormal vectors (n x n) of a symmetric matrix.

    cuSOLVER may fail without a word: CuPy hands back what there is, unless `cupyx.errstate(linalg="raise")` asks it to
    look. So what a device returns is put in, A V against V diag(values) and V'V against I, and where it does not fit
    NumPy finds it anew.
    """
    xp = array_namespace(A)
    values, vectors = xp.linalg.eigh(A)
    if is_numpy_array(A):
        return values, vectors
    like, n = {"dtype": A.dtype, "device": getattr(A, "device", None)}, A.shape[0]
    noise = 100 * n * float(xp.finfo(A.dtype).eps)
    off = float(xp.max(xp.abs(A @ vectors - vectors * values)))
    skew = float(xp.max(xp.abs(vectors.T @ vectors - xp.eye(n, **like))))
    if off <= noise * float(xp.max(xp.abs(A))) and skew <= noise:  # nan is neither
        return values, vectors
    values, vectors = np.linalg.eigh(to_numpy(A))
    return xp.asarray(values, **like), xp.asarray(vectors, **like)


def transposed(x: Array) -> Array:
    """Rows and columns exchanged, of a matrix or of each in a stack."""
    return x.T if x.ndim == 2 else array_namespace(x).matrix_transpose(x)
