// What py/messages.py is made of.
//
// Thread-safety: with the GIL.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_MESSAGE_FUNCTIONS_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_MESSAGE_FUNCTIONS_H_

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// message_functions() -> dict: the types of port_types.h, the functions of call_type.h, and
//   port_end(class, channel, is_sender)
//   open_inbox(class), open_port(class, interpreter, timeout): a port of a class of messages.py
//   post_to_client(value, timeout, lock): a lock of threads, which it holds while it sends
//   close_mailbox(), forget_other_threads(): of what a fork has inherited
//   remove_named_channel(name)
//   register_ports((channel_class, sender_class, receiver_class)), which clones are made of
PyObject* MessageFunctions(PyObject*, PyObject*);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_MESSAGE_FUNCTIONS_H_
