/* Clones of objects, for authors of extension modules: how instances of a C type come into messages between
 * interpreters, and how C code makes and reads clones of its own. C99 and C++; needs Python.h and nothing to link.
 *
 *     static PyObject *point_to(PyObject *point) { return Py_BuildValue("(dd)", ...); }
 *     static PyObject *point_from(PyTypeObject *type, PyObject *state) { ... }
 *
 *     static int exec(PyObject *module) {
 *       const CloisterCloneApi *api = CloisterClone_Import();
 *       if (api == NULL) PyErr_Clear();  // this Python runs elsewhere: the type works, and is not sent
 *       else if (api->register_type(point_type, point_to, point_from) != 0) return -1;
 *       ...
 *     }
 *
 * A type is found where it is read under its module and name, in modules that are imported there: a receiver
 * that has not imported the module gets a DataCloneError. Each interpreter registers for itself, which a
 * module's exec slot does. Modules that are to load in isolated interpreters say so
 * (Py_MOD_PER_INTERPRETER_GIL_SUPPORTED) and have heap types only.
 *
 * What is here does not change; what is new comes behind it, and `version` rises.
 *
 * Thread-safety: with the GIL of the interpreter that CloisterClone_Import() was called in. The table is the same
 * in all of them, and lives as long as the process.
 * Errors: NULL or -1 with a Python exception set. */

#ifndef CLOISTER_CLONE_H_
#define CLOISTER_CLONE_H_

#include <Python.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOISTER_CLONE_API_VERSION 1
#define CLOISTER_CLONE_CAPSULE "cloister._C_API"

/* A new reference to a value that can be cloned and says all of the instance. It must not keep the instance
 * itself in it. Called while a message is made: other threads may run meanwhile, if it lets them. */
typedef PyObject *(*CloisterCloneTo)(PyObject *instance);

/* A new reference to an instance of exactly `type`, which is what was registered. The state comes from a sender of
 * which nothing is to be believed: check all of it. */
typedef PyObject *(*CloisterCloneFrom)(PyTypeObject *type, PyObject *state);

typedef struct {
  int version;  /* CLOISTER_CLONE_API_VERSION of the Cloister that made it */
  size_t size;  /* of this struct there */

  /* Lets instances of exactly this heap type be cloned, in the calling interpreter. Registering again replaces
   * the functions. TypeError: it is no heap type, or cloned in another way already. */
  int (*register_type)(PyTypeObject *type, CloisterCloneTo to, CloisterCloneFrom from);

  /* The value as it would come out of a message: cloister.clone(). */
  PyObject *(*clone)(PyObject *value);

  /* The clone of a value as bytes, in the format of proto/CLONE.md; without handles (SharedBuffer, Channel, ...). */
  PyObject *(*encode)(PyObject *value);

  /* The value of such bytes, of which nothing is trusted. */
  PyObject *(*decode)(const char *bytes, Py_ssize_t size);

  /* cloister.DataCloneError, a TypeError, which the above raise for what cannot be cloned. Borrowed. */
  PyObject *(*data_clone_error)(void);
} CloisterCloneApi;

/* ImportError where this Python does not run in Cloister, or in one that is older than this header. */
static inline const CloisterCloneApi *CloisterClone_Import(void) {
  const CloisterCloneApi *api = (const CloisterCloneApi *)PyCapsule_Import(CLOISTER_CLONE_CAPSULE, 0);
  if (api == NULL) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
      PyErr_SetString(PyExc_ImportError, "this Cloister has no interface for C");
    }
    return NULL;
  }
  if (api->version < CLOISTER_CLONE_API_VERSION || api->size < sizeof(CloisterCloneApi)) {
    PyErr_Format(PyExc_ImportError, "this Cloister has version %d of its interface for C, and %d is needed",
                 api->version, CLOISTER_CLONE_API_VERSION);
    return NULL;
  }
  return api;
}

#ifdef __cplusplus
}
#endif

#endif  /* CLOISTER_CLONE_H_ */
