#include "sandbox/guest/messages/message_functions.h"

#include <memory>
#include <string>
#include <utility>

#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/messages/call_type.h"
#include "sandbox/guest/messages/connection.h"
#include "sandbox/guest/messages/message_errors.h"
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
  connection->ends().Close();
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

PyObject* OpenInbox(PyObject*, PyObject* type) {
  if (!CheckPortClass(type)) return nullptr;
  if (here->inbox == nullptr || here->inbox->ends().is_closed()) {
    MailboxRequest request;
    request.mutable_open_inbox();
    here->inbox = Start(request, Deadline());
    if (here->inbox == nullptr) return nullptr;
  }
  return ReadPort(type, here->inbox.get(), Port::kReceiveEnd, Deadline()).release();
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

// False where the time is over, or with a Python exception set.
bool Acquire(PyObject* lock, const Deadline& deadline) {
  const int64_t left = deadline.Left();
  PyRef acquired =
      PyRef::Steal(PyObject_CallMethod(lock, "acquire", "id", left == 0 ? 0 : 1,
                                       left <= 0 ? -1.0 : static_cast<double>(left) / 1e9));
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

PyObject* RegisterPorts(PyObject*, PyObject* classes) {
  return RegisterPortClasses(classes) ? Py_NewRef(Py_None) : nullptr;
}

PyMethodDef functions[] = {{"port_end", PortEnd, METH_VARARGS, nullptr},
                           {"open_inbox", OpenInbox, METH_O, nullptr},
                           {"open_port", OpenPort, METH_VARARGS, nullptr},
                           {"post_to_client", PostToClient, METH_VARARGS, nullptr},
                           {"close_mailbox", CloseMailbox, METH_NOARGS, nullptr},
                           {"forget_other_threads", ForgetOtherThreads, METH_NOARGS, nullptr},
                           {"register_ports", RegisterPorts, METH_O, nullptr}};

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
