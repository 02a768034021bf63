// Python's view of ports: the types that the classes of py/messages.py are made of.
//
// Thread-safety: with the GIL.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_TYPES_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_TYPES_H_

#include "sandbox/guest/messages/port.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Adds the types to `names` (a dict), for the calling interpreter, once:
//   ChannelType   put, get and all else; made with (capacity=0, *, maxsize)
//   SenderType    what puts; ReceiverType: what gets. Programs cannot make them.
// False with a Python exception set.
bool AddPortTypes(PyObject* names);

// A new object of a class that is made of one of them, with a closed port; null with a Python
// exception set.
PyObject* NewPort(PyTypeObject* type);

// Whether it is a class that is made of one of them; false with a Python exception set.
bool CheckPortClass(PyObject* type);

// Of an object of a class that is made of one of them.
Port& PortOf(PyObject* object);

// new_channel(class, capacity): of a class that programs do not call.
PyObject* NewChannelOf(PyObject*, PyObject* arguments);

// port_end(class, channel, is_sender): one end of the channel, with descriptors of its own.
PyObject* PortEnd(PyObject*, PyObject* arguments);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_TYPES_H_
