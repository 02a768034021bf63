#include "sandbox/guest/messages/loop_waits.h"

#include "sandbox/guest/messages/message_errors.h"
#include "sandbox/guest/notebook_source.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/guest/python_source.h"

namespace cloister::sandbox {

bool CloseEnds(MessageEnds* ends) {
  ends->Close();
  return TellLoops(*ends);
}

PyObject* HoldEnd(MessageEnds* ends, size_t index) {
  const int duplicate = ends->Hold(index);
  return duplicate >= 0 || RaiseErrno() ? PyLong_FromLong(duplicate) : nullptr;
}

PyObject* LetGoOfEnd(MessageEnds* ends, PyObject* duplicate) {
  const int number = PyLong_AsInt(duplicate);
  if (number == -1 && PyErr_Occurred() != nullptr) return nullptr;
  ends->LetGo(number);
  return Py_NewRef(Py_None);
}

bool TellLoops(const MessageEnds& ends) {
  if (!ends.is_held()) return true;
  PyRef raised = PyRef::Steal(PyErr_GetRaisedException());
  PyRef forget = GetFunction(LoadNotebookSource("message_waits"), "forget");
  bool is_told = static_cast<bool>(forget);
  for (size_t i = 0; i < 3 && is_told; ++i) {
    if (ends.fd(i) < 0) continue;
    is_told = static_cast<bool>(PyRef::Steal(PyObject_CallFunction(forget.get(), "i", ends.fd(i))));
  }
  if (raised) PyErr_SetRaisedException(raised.release());
  return is_told;
}

}  // namespace cloister::sandbox
