// input() and getpass.getpass() of a live sandbox: questions to the client.

#ifndef CLOISTER_SANDBOX_GUEST_QUESTION_H_
#define CLOISTER_SANDBOX_GUEST_QUESTION_H_

#include "sandbox/guest/frame_sender.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Replaces builtins.input, once per interpreter, in the thread that will run its cells. `sender`
// outlives the interpreter. False with a Python exception set.
bool InstallInput(FrameSender* sender);

// getpass.getpass that asks the client; a new reference, null with a Python exception set.
PyObject* NewGetPass();

// What the questions of the next cell meet.
enum class InputSource {
  kNobody,         // EOFError that says why
  kStandardInput,  // what Program.stdin gave
  kClient,
};
void SetInputSource(InputSource source);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_QUESTION_H_
