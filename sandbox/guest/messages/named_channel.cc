#include "sandbox/guest/messages/named_channel.h"

#include <utility>
#include <vector>

#include "sandbox/guest/messages/connection.h"
#include "sandbox/guest/messages/message_errors.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxReply;
using internal::v1::MailboxRequest;

// Asks, and waits for the answer. False with a Python exception set.
bool Ask(const MailboxRequest& request, HostConnection* connection, MailboxReply* reply) {
  if (!connection->Start(request, Deadline()) || !connection->ReadReply(Deadline(), reply)) {
    return false;
  }
  return !reply->has_failure() || RaiseFailure(reply->failure());
}

}  // namespace

bool OpenNamedChannel(const char* name, std::optional<uint32_t> capacity, Port* port) {
  MailboxRequest request;
  request.mutable_open_channel()->set_name(name);
  if (capacity.has_value()) request.mutable_open_channel()->set_capacity(*capacity);
  HostConnection connection(MessageEnds::Of::kMailbox);
  MailboxReply reply;
  if (!Ask(request, &connection, &reply)) return false;
  std::vector<UniqueFd> ends = connection.TakeDescriptors();
  const uint32_t made_with = reply.channel_sent().capacity();
  if (ends.size() != (made_with == 0 ? 2 : 3)) {
    return RaiseChannelClosed("the host's descriptors do not fit into this process");
  }
  port->set_capacity(made_with);
  port->ends()[Port::kSendEnd] = std::move(ends[0]);
  port->ends()[Port::kReceiveEnd] = std::move(ends[1]);
  if (made_with != 0) port->ends()[Port::kCredits] = std::move(ends[2]);
  return true;
}

PyObject* RemoveNamedChannel(PyObject*, PyObject* name) {
  const char* text = PyUnicode_AsUTF8(name);
  if (text == nullptr) return nullptr;
  MailboxRequest request;
  request.mutable_remove_channel()->set_name(text);
  HostConnection connection(MessageEnds::Of::kMailbox);
  MailboxReply reply;
  return Ask(request, &connection, &reply) ? Py_NewRef(Py_None) : nullptr;
}

}  // namespace cloister::sandbox
