// The Python files that are compiled in the zygote but run when they are first needed, and what all
// of them may call of ours.

#ifndef CLOISTER_SANDBOX_GUEST_NOTEBOOK_SOURCE_H_
#define CLOISTER_SANDBOX_GUEST_NOTEBOOK_SOURCE_H_

#include "sandbox/guest/frame_sender.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Once per interpreter, in the zygote for main: makes the names that every file gets. `names` (a
// dict) are added to ours:
//   load(name)                   the namespace of py/NAME.py
//   in_session()                 whether there is a host to show things to
//   is_main_interpreter()
//   send_display(description, display_id, is_update), send_clear_output(wait)
//   set_idle(function)           see IdleFunction
//   getpass                      of question.h
//   clone_value(value), encode_clone(value), decode_clone(bytes), register_clone(type, to, from),
//   encode_handles(value, transfer), decode_handles(bytes, descriptors)
//                                of clone/clone_functions.h
//   shared_class(name)           of shared/shared_types.h
//   message_functions()          of messages/message_functions.h
//   wait_ready                   of interruptible_waits.h
// False with a Python exception set.
bool SetUpNotebookSources(PyObject* names);

// Gives those of the calling interpreter a host. The sender outlives the interpreter.
void ConnectNotebookSources(FrameSender* sender);

// The namespace of py/NAME.py, loaded once; with a Python exception set where it cannot be.
PyRef LoadNotebookSource(const char* name);

// Runs py/NAME.py in the namespace of a module, in which our names begin with '_'.
bool RunNotebookSource(const char* name, const char* module_name, PyObject* module_names);

// Waits until a descriptor, its argument, can be read; null where nobody set one. Borrowed.
PyObject* IdleFunction();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_NOTEBOOK_SOURCE_H_
