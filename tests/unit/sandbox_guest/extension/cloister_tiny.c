// An extension module as somebody else would write it, against Python's headers and cloister_clone.h alone: a type
// of points, which knows how to be sent.

#include <Python.h>

#include "cloister_clone.h"

typedef struct {
  PyObject_HEAD double x, y;
} Point;

static PyObject *point_new(PyTypeObject *type, PyObject *args, PyObject *names) {
  static char *keywords[] = {"x", "y", NULL};
  double x, y;
  if (!PyArg_ParseTupleAndKeywords(args, names, "dd:Point", keywords, &x, &y)) return NULL;
  Point *self = (Point *)type->tp_alloc(type, 0);
  if (self != NULL) self->x = x, self->y = y;
  return (PyObject *)self;
}

static void point_dealloc(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

static PyObject *point_repr(PyObject *self) {
  PyObject *state = Py_BuildValue("(dd)", ((Point *)self)->x, ((Point *)self)->y);
  PyObject *text = state == NULL ? NULL : PyUnicode_FromFormat("Point%R", state);
  Py_XDECREF(state);
  return text;
}

static PyType_Slot point_slots[] = {{Py_tp_new, point_new},
                                    {Py_tp_dealloc, point_dealloc},
                                    {Py_tp_repr, point_repr},
                                    {0, NULL}};
static PyType_Spec point_spec = {"cloister_tiny.Point", sizeof(Point), 0, Py_TPFLAGS_DEFAULT, point_slots};

static PyObject *point_to(PyObject *self) {
  // One that says nothing of why it cannot be sent.
  if (((Point *)self)->x < 0) return NULL;
  return Py_BuildValue("(dd)", ((Point *)self)->x, ((Point *)self)->y);
}

static PyObject *point_from(PyTypeObject *type, PyObject *state) {
  if (!PyTuple_Check(state)) return PyErr_Format(PyExc_ValueError, "no state of a point");
  return point_new(type, state, NULL);
}

static PyObject *tiny_round(PyObject *Py_UNUSED(module), PyObject *value) {
  const CloisterCloneApi *api = CloisterClone_Import();
  PyObject *bytes = api == NULL ? NULL : api->encode(value);
  if (bytes == NULL) {
    if (api == NULL || !PyErr_ExceptionMatches(api->data_clone_error())) return NULL;
    PyErr_Clear();
    return PyUnicode_FromString("cannot be cloned");
  }
  PyObject *again = api->decode(PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
  Py_DECREF(bytes);
  if (again == NULL) return NULL;
  PyObject *copy = api->clone(again);
  Py_DECREF(again);
  return copy;
}

static PyObject *tiny_register(PyObject *Py_UNUSED(module), PyObject *type) {
  const CloisterCloneApi *api = CloisterClone_Import();
  if (api == NULL || api->register_type((PyTypeObject *)type, point_to, point_from) != 0) return NULL;
  Py_RETURN_NONE;
}

static int tiny_exec(PyObject *module) {
  const CloisterCloneApi *api = CloisterClone_Import();
  if (api == NULL) return -1;
  PyObject *type = PyType_FromModuleAndSpec(module, &point_spec, NULL);
  if (type == NULL) return -1;
  int failed = api->register_type((PyTypeObject *)type, point_to, point_from) != 0 ||
               PyModule_AddType(module, (PyTypeObject *)type) != 0;
  Py_DECREF(type);
  return failed ? -1 : 0;
}

static PyMethodDef tiny_methods[] = {{"round", tiny_round, METH_O, NULL},
                                     {"register", tiny_register, METH_O, NULL},
                                     {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot tiny_slots[] = {{Py_mod_exec, tiny_exec},
                                        {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
                                        {0, NULL}};
static struct PyModuleDef tiny = {
    PyModuleDef_HEAD_INIT, "cloister_tiny", NULL, 0, tiny_methods, tiny_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_cloister_tiny(void) { return PyModuleDef_Init(&tiny); }
