#include "sandbox/guest/provenance.h"

#include <cstdio>
#include <cstdlib>

namespace cloister::sandbox {
namespace {

int64_t InterpreterOfCaller() {
  PyThreadState* thread = PyThreadState_GetUnchecked();
  if (thread != nullptr) return PyInterpreterState_GetID(PyThreadState_GetInterpreter(thread));
  fprintf(stderr, "an object is touched by a thread that has no GIL\n");
  abort();
}

}  // namespace

Here::Here() : interpreter_(InterpreterOfCaller()) {}

void HomeRef::EndForStranger(const Here& here) const {
  fprintf(stderr, "an object of interpreter %lld is touched in interpreter %lld\n",
          static_cast<long long>(home_), static_cast<long long>(here.interpreter_));
  abort();
}

}  // namespace cloister::sandbox
