// Channels that the interpreters of a sandbox find by name: the host keeps them (mailbox.proto).
//
// Thread-safety: with the GIL, which is released where it waits.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_NAMED_CHANNEL_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_NAMED_CHANNEL_H_

#include <cstdint>
#include <optional>

#include "sandbox/guest/messages/port.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Gives a port that has none the ends of the channel of that name. False with a Python exception
// set.
bool OpenNamedChannel(const char* name, std::optional<uint32_t> capacity, Port* port);

// remove_named_channel(name), for Python code of ours.
PyObject* RemoveNamedChannel(PyObject*, PyObject* name);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_NAMED_CHANNEL_H_
