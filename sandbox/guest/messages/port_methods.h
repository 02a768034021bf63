// What programs do with ends of channels: the methods of the types in port_types.h.
//
// Thread-safety: with the GIL. What there is one of for all interpreters is written by none.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_METHODS_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_METHODS_H_

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

extern PyMethodDef channel_methods[];
extern PyMethodDef sender_methods[];
extern PyMethodDef receiver_methods[];
extern PyGetSetDef port_attributes[];

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_METHODS_H_
