#include "sandbox/guest/messages/message_functions.h"

#include <memory>
#include <string>
#include <utility>

#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/messages/call_type.h"
#include "sandbox/guest/messages/connection.h"
#include "sandbox/guest/messages/message_errors.h"
#include "sandbox/guest/messages/named_channel.h"
#include "sandbox/guest/messages/port_clones.h"
#include "sandbox/guest/messages/port_types.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxReply;
using internal::v1::MailboxRequest;

struct Connections {
  // What goes to the client; the same one, as long as nothing cuts a message off.
  std::unique_ptr<HostConnection> posts;
  // The request for the inbox, which is made once: an interrupt may end the wait for its answer.
  std::unique_ptr<HostConnection> inbox;
};
const InterpreterLocal<Connections> here;

// A new one; null with a Python exception set.
std::unique_ptr<HostConnection> Start(const MailboxRequest& request, const Deadline& deadline) {
  auto connection = std::make_unique<HostConnection>(MessageEnds::Of::kMailbox);
  if (!connection->Start(request, deadline)) return nullptr;
  return connection;
}

// A port of the class whose one end the host sends.
PyRef ReadPort(PyObject* type, HostConnection* connection, Port::End end,
               const Deadline& deadline) {
  MailboxReply reply;
  if (!connection->ReadReply(deadline, &reply)) return PyRef();
  if (reply.has_failure()) return RaiseFailure(reply.failure());
  UniqueFd descriptor = connection->TakeDescriptor();
  if (!descriptor) {
    RaiseChannelClosed("the host has sent no descriptor");
    return PyRef();
  }
  PyRef self = PyRef::Steal(NewPort(reinterpret_cast<PyTypeObject*>(type)));
  if (!self) return PyRef();
  Port& port = PortOf(self.get());
  port.ends().of = MessageEnds::Of::kMailbox;
  port.ends()[end] = std::move(descriptor);
  if (end == Port::kReceiveEnd) port.ReceiveFromHost();
  return self;
}

// One thread at a time.
PyObject* OpenInbox(PyObject*, PyObject* arguments) {
  PyObject* type;
  PyObject* timeout;
  Deadline deadline;
  if (!PyArg_ParseTuple(arguments, "OO:open_inbox", &type, &timeout) || !CheckPortClass(type) ||
      !Deadline::Parse(timeout, &deadline)) {
    return nullptr;
  }
  if (here->inbox == nullptr || here->inbox->ends().is_closed()) {
    MailboxRequest request;
    request.mutable_open_inbox();
    here->inbox = Start(request, deadline);
    if (here->inbox == nullptr) return nullptr;
  }
  return ReadPort(type, here->inbox.get(), Port::kReceiveEnd, deadline).release();
}

PyObject* OpenPort(PyObject*, PyObject* arguments) {
  PyObject* type;
  const char* interpreter;
  PyObject* timeout;
  Deadline deadline;
  MailboxRequest request;
  if (!PyArg_ParseTuple(arguments, "O!sO:open_port", &PyType_Type, &type, &interpreter, &timeout) ||
      !CheckPortClass(type) || !Deadline::Parse(timeout, &deadline)) {
    return nullptr;
  }
  request.mutable_open_port()->set_interpreter(interpreter);
  const std::unique_ptr<HostConnection> connection = Start(request, deadline);
  if (connection == nullptr) return nullptr;
  return ReadPort(type, connection.get(), Port::kSendEnd, deadline).release();
}

bool SendPost(const internal::v1::Post& post, const Deadline& deadline) {
  if (here->posts == nullptr || here->posts->ends().is_closed()) {
    MailboxRequest request;
    request.mutable_open_posts();
    here->posts = Start(request, deadline);
    if (here->posts == nullptr) return false;
  }
  return here->posts->Send(post, deadline);
}

// Of a OneAtATime of py/messages.py. False with a Python exception set.
bool Acquire(PyObject* lock, const Deadline& deadline) {
  const int64_t left = deadline.Left();
  PyRef seconds = left == kForever
                      ? PyRef::Borrow(Py_None)
                      : PyRef::Steal(PyFloat_FromDouble(static_cast<double>(left) / 1e9));
  PyRef acquired =
      PyRef::Steal(seconds ? PyObject_CallMethod(lock, "acquire", "O", seconds.get()) : nullptr);
  return acquired && (PyObject_IsTrue(acquired.get()) != 0 ||
                      RaiseTimeout("other messages to the client have not been read"));
}

PyObject* PostToClient(PyObject*, PyObject* arguments) {
  PyObject* value;
  PyObject* timeout;
  PyObject* lock;
  Deadline deadline;
  internal::v1::Post post;
  if (!PyArg_ParseTuple(arguments, "OOO:post_to_client", &value, &timeout, &lock) ||
      !Deadline::Parse(timeout, &deadline) ||
      !EncodeClone(value, kResultCloneLimits, post.mutable_value()) || !Acquire(lock, deadline)) {
    return nullptr;
  }
  const bool is_sent = SendPost(post, deadline);
  PyRef raised = PyRef::Steal(PyErr_GetRaisedException());
  PyRef released = PyRef::Steal(PyObject_CallMethod(lock, "release", nullptr));
  if (raised) PyErr_SetRaisedException(raised.release());
  return is_sent && released ? Py_NewRef(Py_None) : nullptr;
}

PyObject* CloseMailbox(PyObject*, PyObject*) {
  CloseMailboxDescriptors();
  return Py_NewRef(Py_None);
}

PyObject* ForgetOtherThreads(PyObject*, PyObject*) {
  ForgetWaitsOfOtherThreads();
  return Py_NewRef(Py_None);
}

PyObject* RegisterPort(PyObject*, PyObject* arguments) {
  const char* role;
  PyObject* type;
  if (!PyArg_ParseTuple(arguments, "sO:register_port", &role, &type) ||
      !RegisterPortClass(role, type)) {
    return nullptr;
  }
  return Py_NewRef(Py_None);
}

PyMethodDef functions[] = {{"port_end", PortEnd, METH_VARARGS, nullptr},
                           {"open_inbox", OpenInbox, METH_VARARGS, nullptr},
                           {"open_port", OpenPort, METH_VARARGS, nullptr},
                           {"post_to_client", PostToClient, METH_VARARGS, nullptr},
                           {"close_mailbox", CloseMailbox, METH_NOARGS, nullptr},
                           {"forget_other_threads", ForgetOtherThreads, METH_NOARGS, nullptr},
                           {"new_channel", NewChannelOf, METH_VARARGS, nullptr},
                           {"register_port", RegisterPort, METH_VARARGS, nullptr},
                           {"remove_named_channel", RemoveNamedChannel, METH_O, nullptr}};

}  // namespace

PyObject* MessageFunctions(PyObject*, PyObject*) {
  PyRef names = PyRef::Steal(PyDict_New());
  if (!names || !AddPortTypes(names.get()) || !AddCallFunctions(names.get())) return nullptr;
  for (PyMethodDef& function : functions) {
    PyRef object = PyRef::Steal(PyCFunction_New(&function, nullptr));
    if (!object || PyDict_SetItemString(names.get(), function.ml_name, object.get()) != 0) {
      return nullptr;
    }
  }
  return names.release();
}

}  // namespace cloister::sandbox
