# SPDX-License-Identifier: BSD-3-Clause

cdef extern from *:
    """
    /* `__module__` of a compiled class is in its name. The limited API hides that name, but there
     * the attribute can be set. */
    static int
    fd_say_public(PyObject *cls, const char *name)
    {
    #ifdef Py_LIMITED_API
        PyObject *module = PyUnicode_FromString("fastdrop");
        const int status = module ? PyObject_SetAttrString(cls, "__module__", module) : -1;
        Py_XDECREF(module);
        (void)name;
        return status;
    #else
        ((PyTypeObject *)cls)->tp_name = name;
        return 0;
    #endif
    }
    """
    # Has a class say that it is imported from fastdrop; `name` is "fastdrop.", and its own.
    int say_public "fd_say_public"(object cls, const char *name) except -1
