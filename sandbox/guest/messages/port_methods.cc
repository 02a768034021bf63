#include "sandbox/guest/messages/port_methods.h"

#include <poll.h>

#include <array>

#include "sandbox/guest/messages/arguments.h"
#include "sandbox/guest/messages/loop_waits.h"
#include "sandbox/guest/messages/message_errors.h"
#include "sandbox/guest/messages/port_types.h"

namespace cloister::sandbox {
namespace {

// ---- sending ------------------------------------------------------------------------------------

// A call that may not wait has no time at all.
bool ParseWaiting(PyObject* block, PyObject* timeout, Deadline* deadline) {
  const int is_blocking = block == nullptr ? 1 : PyObject_IsTrue(block);
  if (is_blocking < 0) return false;
  if (is_blocking == 0) {
    *deadline = Deadline::Now();
    return true;
  }
  if (timeout != nullptr && timeout != Py_None && PyFloat_AsDouble(timeout) < 0) {
    if (PyErr_Occurred() == nullptr) {
      PyErr_SetString(PyExc_ValueError, "'timeout' must be a non-negative number");
    }
    return false;
  }
  return Deadline::Parse(timeout, deadline);
}

PyObject* Sent(Port::Done done, bool raises_full) {
  if (done == Port::Done::kYes) return Py_NewRef(Py_None);
  if (done == Port::Done::kNotYet) {
    raises_full ? RaiseOfQueue("QueueFull")
                : RaiseTimeout("the receiver has not read what is there");
  }
  return nullptr;
}

// Null for nothing, which it mostly is.
PyObject* Transfer(PyObject* objects) {
  const bool is_nothing = objects == nullptr || objects == Py_None ||
                          (PyTuple_CheckExact(objects) && PyTuple_GET_SIZE(objects) == 0);
  return is_nothing ? nullptr : objects;
}

PyObject* Put(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  static constexpr Signature<4> kSignature = {
      "put", {"value", "block", "timeout", "transfer"}, 3, 1};
  std::array<PyObject*, 4> values;
  Deadline deadline;
  if (!kSignature.Parse(arguments, count, keywords, &values) ||
      !ParseWaiting(values[1], values[2], &deadline)) {
    return nullptr;
  }
  return Sent(PortOf(self).Send(values[0], Transfer(values[3]), deadline), true);
}

PyObject* PutNowait(PyObject* self, PyObject* value) {
  return Sent(PortOf(self).Send(value, nullptr, Deadline::Now()), true);
}

// Of cloister.post(): as put(), but the time being over is a TimeoutError.
PyObject* Post(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  static constexpr Signature<3> kSignature = {"post", {"value", "timeout", "transfer"}, 2, 1};
  std::array<PyObject*, 3> values;
  Deadline deadline;
  if (!kSignature.Parse(arguments, count, keywords, &values) ||
      !Deadline::Parse(values[1], &deadline)) {
    return nullptr;
  }
  return Sent(PortOf(self).Send(values[0], Transfer(values[2]), deadline), false);
}

// For the queues of py/queues.py: put_or_keep(value, transfer) says whether something is kept now,
// which flush() is to send.
PyObject* PutOrKeep(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "_put_or_keep() takes a value and what is transferred");
    return nullptr;
  }
  Port& port = PortOf(self);
  const Port::Done done = port.SendOrKeep(arguments[0], Transfer(arguments[1]));
  return done == Port::Done::kYes ? PyBool_FromLong(port.is_keeping()) : Sent(done, true);
}

PyObject* Flush(PyObject* self, PyObject*) {
  return PortOf(self).Flush() == Port::Done::kYes ? Py_NewRef(Py_None) : nullptr;
}

PyObject* IsKeeping(PyObject* self, PyObject*) {
  return PyBool_FromLong(PortOf(self).is_keeping());
}

PyObject* DropKept(PyObject* self, PyObject*) {
  PortOf(self).DropKept();
  return Py_NewRef(Py_None);
}

// ---- receiving ----------------------------------------------------------------------------------

PyObject* Received(PyObject* self, const Deadline& deadline) {
  PyRef value;
  if (PortOf(self).Receive(deadline, &value) == Port::Done::kNotYet) RaiseOfQueue("QueueEmpty");
  return value.release();
}

PyObject* Get(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  static constexpr Signature<2> kSignature = {"get", {"block", "timeout"}, 2, 0};
  std::array<PyObject*, 2> values;
  Deadline deadline;
  if (!kSignature.Parse(arguments, count, keywords, &values) ||
      !ParseWaiting(values[0], values[1], &deadline)) {
    return nullptr;
  }
  return Received(self, deadline);
}

PyObject* GetNowait(PyObject* self, PyObject*) { return Received(self, Deadline::Now()); }

// (value,), or None where none waits: for code that goes on when there is none.
PyObject* Poll(PyObject* self, PyObject*) {
  PyRef value;
  const Port::Done done = PortOf(self).Receive(Deadline::Now(), &value);
  if (done == Port::Done::kNotYet) return Py_NewRef(Py_None);
  return done == Port::Done::kYes ? PyTuple_Pack(1, value.get()) : nullptr;
}

// collect(list, timeout): appends the next message, so that no interrupt comes between. Whether one
// came in time.
PyObject* Collect(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  Deadline deadline;
  if (count != 2 || !PyList_Check(arguments[0])) {
    PyErr_SetString(PyExc_TypeError, "_collect() takes a list and a timeout");
    return nullptr;
  }
  if (!Deadline::Parse(arguments[1], &deadline)) return nullptr;
  PyRef value;
  const Port::Done done = PortOf(self).Receive(deadline, &value);
  if (done == Port::Done::kNotYet) return Py_NewRef(Py_False);
  const bool is_there = done == Port::Done::kYes && PyList_Append(arguments[0], value.get()) == 0;
  return is_there ? Py_NewRef(Py_True) : nullptr;
}

// ---- both ---------------------------------------------------------------------------------------

PyObject* Close(PyObject* self, PyObject*) {
  return CloseEnds(&PortOf(self).ends()) ? Py_NewRef(Py_None) : nullptr;
}

PyObject* Hold(PyObject* self, PyObject*) {
  Port& port = PortOf(self);
  const bool receives = port.ends().fd(Port::kReceiveEnd) >= 0;
  return HoldEnd(&port.ends(), receives ? Port::kReceiveEnd : Port::kSendEnd);
}

PyObject* LetGo(PyObject* self, PyObject* duplicate) {
  return LetGoOfEnd(&PortOf(self).ends(), duplicate);
}

PyObject* FileNumber(PyObject* self, PyObject*) {
  Port& port = PortOf(self);
  const int receive = port.ends().fd(Port::kReceiveEnd);
  return PyLong_FromLong(receive >= 0 ? receive : port.ends().fd(Port::kSendEnd));
}

PyObject* IsEmpty(PyObject* self, PyObject*) {
  Port& port = PortOf(self);
  return PyBool_FromLong(port.ends().is_closed() || !port.IsReady(Port::kReceiveEnd, POLLIN));
}

PyObject* IsFull(PyObject* self, PyObject*) {
  Port& port = PortOf(self);
  if (port.ends().is_closed()) return Py_NewRef(Py_False);
  const bool has_room = port.capacity() != 0 ? port.IsReady(Port::kCredits, POLLIN)
                                             : port.IsReady(Port::kSendEnd, POLLOUT);
  return PyBool_FromLong(!has_room);
}

PyObject* Size(PyObject* self, PyObject*) {
  Port& port = PortOf(self);
  if (port.ends().is_closed()) return PyLong_FromLong(0);
  if (port.capacity() == 0) {
    PyErr_SetString(PyExc_NotImplementedError,
                    "how many messages wait is only known of a Channel with a capacity");
    return nullptr;
  }
  const int64_t count = port.Count();
  return count < 0 ? nullptr : PyLong_FromLongLong(count);
}

PyObject* GetCapacity(PyObject* self, void*) {
  return PyLong_FromUnsignedLong(PortOf(self).capacity());
}

PyObject* GetClosed(PyObject* self, void*) {
  return PyBool_FromLong(PortOf(self).ends().is_closed());
}

// ---- tables -------------------------------------------------------------------------------------

template <typename Function>
PyCFunction AsMethod(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

constexpr int kFast = METH_FASTCALL | METH_KEYWORDS;

#define CLOISTER_SENDS                                                                         \
  {"put", AsMethod(Put), kFast,                                                                \
   PyDoc_STR("put($self, value, block=True, timeout=None, *, transfer=())\n--\n\nSends a "     \
             "clone of the value. Waits while the receiver is full: queue.Full where it may "  \
             "not, or the time is over. ChannelClosed where nobody can receive it.")},         \
      {"put_nowait", PutNowait, METH_O,                                                        \
       PyDoc_STR("put_nowait($self, value)\n--\n\nput(value, block=False)")},                  \
      {"_post", AsMethod(Post), kFast, nullptr}, {                                             \
    "full", IsFull, METH_NOARGS, PyDoc_STR("full($self)\n--\n\nWhether put() would wait now.") \
  }
#define CLOISTER_RECEIVES                                                                         \
  {"get", AsMethod(Get), kFast,                                                                   \
   PyDoc_STR("get($self, block=True, timeout=None)\n--\n\nThe next message. Waits for it: "       \
             "queue.Empty where it may not, or the time is over. ChannelClosed where none "       \
             "can come any more. DataCloneError for a message that cannot be read here.")},       \
      {"get_nowait", GetNowait, METH_NOARGS,                                                      \
       PyDoc_STR("get_nowait($self)\n--\n\nget(block=False)")},                                   \
      {"_poll", Poll, METH_NOARGS, nullptr},                                                      \
      {"_collect", AsMethod(Collect), METH_FASTCALL, nullptr}, {                                  \
    "empty", IsEmpty, METH_NOARGS, PyDoc_STR("empty($self)\n--\n\nWhether get() would wait now.") \
  }
#define CLOISTER_COMMON                                                                      \
  {"close", Close, METH_NOARGS,                                                              \
   PyDoc_STR("close($self)\n--\n\nCloses this end. Who waits at it gets ChannelClosed.")},   \
      {"_hold", Hold, METH_NOARGS, nullptr}, {"_let_go", LetGo, METH_O, nullptr},            \
      {"fileno", FileNumber, METH_NOARGS,                                                    \
       PyDoc_STR("fileno($self)\n--\n\nA descriptor to wait for, with select or asyncio.")}, \
      {"qsize", Size, METH_NOARGS,                                                           \
       PyDoc_STR("qsize($self)\n--\n\nHow many messages wait, where there is a capacity.")}, \
  {                                                                                          \
    nullptr, nullptr, 0, nullptr                                                             \
  }

}  // namespace

PyMethodDef channel_methods[] = {CLOISTER_SENDS, CLOISTER_RECEIVES, CLOISTER_COMMON};
PyMethodDef sender_methods[] = {{"_put_or_keep", AsMethod(PutOrKeep), METH_FASTCALL, nullptr},
                                {"_flush", Flush, METH_NOARGS, nullptr},
                                {"_is_keeping", IsKeeping, METH_NOARGS, nullptr},
                                {"_drop_kept", DropKept, METH_NOARGS, nullptr},
                                CLOISTER_SENDS,
                                CLOISTER_COMMON};
PyMethodDef receiver_methods[] = {CLOISTER_RECEIVES, CLOISTER_COMMON};

PyGetSetDef port_attributes[] = {
    {"maxsize", GetCapacity, nullptr, PyDoc_STR("How many messages may wait; 0: many."), nullptr},
    {"closed", GetClosed, nullptr, PyDoc_STR("Whether this end was closed."), nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

}  // namespace cloister::sandbox
