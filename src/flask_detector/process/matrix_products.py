"""In how many threads numpy multiplies matrices."""

import ctypes
from importlib import import_module

# OpenBLAS's function, by the name that numpy's wheels give it.
_SET_THREADS = "scipy_openblas_set_num_threads64_"


def use_one_thread() -> None:
    """Have numpy multiply matrices in the thread that asks for it, from now on, in the whole process.

    OpenBLAS's own threads wait for the next product without sleeping, up to 0.1 s each time. Meanwhile they
    keep cores busy that the inference engine needs, for products of milliseconds. A numpy with another
    library than its wheels have is left as it is.
    """
    library = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)
    if hasattr(library, _SET_THREADS):
        getattr(library, _SET_THREADS)(1)
