#include "sandbox/guest/messages/message_errors.h"

#include <cerrno>

#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/notebook_source.h"

namespace cloister::sandbox {

bool RaiseChannelClosed(const char* message) {
  PyRef names = LoadNotebookSource("messages");
  PyObject* type = names ? PyDict_GetItemString(names.get(), "ChannelClosed") : nullptr;
  if (type != nullptr) PyErr_SetString(type, message);
  if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_ConnectionError, message);
  return false;
}

bool RaiseDataCloneError(const std::string& message) {
  PyObject* type = DataCloneError();
  if (type != nullptr) PyErr_SetString(type, message.c_str());
  return false;
}

bool RaiseTimeout(const char* message) {
  PyErr_SetString(PyExc_TimeoutError, message);
  return false;
}

bool RaiseOfQueue(const char* name) {
  PyRef names = LoadNotebookSource("queues");
  PyObject* type = names ? PyDict_GetItemString(names.get(), name) : nullptr;
  if (type != nullptr) PyErr_SetNone(type);
  return false;
}

bool RaiseErrno() {
  PyErr_SetFromErrno(PyExc_OSError);
  return false;
}

bool IsClosedError(int error) {
  return error == EPIPE || error == ECONNRESET || error == ECONNREFUSED || error == ENOTCONN;
}

}  // namespace cloister::sandbox
