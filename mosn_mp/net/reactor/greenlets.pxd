# greenlet's C API; its header defines a static table, so only the reactor includes it.
from cpython.ref cimport PyObject

cdef extern from "greenlet/greenlet.h":
    ctypedef struct PyGreenlet:
        pass
    object PyGreenlet_Switch(PyGreenlet* greenlet, PyObject* arguments, PyObject* keywords)
    PyGreenlet* PyGreenlet_GetCurrent()
    void PyGreenlet_Import()
