// The guest binary of one runtime image: CPython behind the zygote's seam.

#include "sandbox/zygote/guest_main.h"

#include "sandbox/guest/python_runtime.h"

int main(int argc, char** argv) {
  cloister::sandbox::PythonRuntime runtime;
  return cloister::sandbox::GuestMain(argc, argv, runtime);
}
