// CPython as the zygote's language runtime.

#ifndef CLOISTER_SANDBOX_GUEST_PYTHON_RUNTIME_H_
#define CLOISTER_SANDBOX_GUEST_PYTHON_RUNTIME_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/guest.pb.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/zygote/guest_runtime.h"

namespace cloister::sandbox {

// Thread-safety: the process's main thread only. One per process.
// Ownership: the interpreter is never finalised; processes that have one end with _exit.
class PythonRuntime final : public GuestRuntime {
 public:
  PythonRuntime();
  PythonRuntime(const PythonRuntime&) = delete;
  PythonRuntime& operator=(const PythonRuntime&) = delete;
  ~PythonRuntime() override;

  absl::StatusOr<std::string> WarmUp(const internal::v1::ZygoteSpec& spec) override;
  void BeforeFork() override;
  void AfterForkInParent() override;
  void AfterForkInChild() override;
  absl::Status Prepare() override;

  // The current directory must be the program's workspace.
  int Serve(int channel) override;

 private:
  struct State;

  // A live sandbox: cells until the host closes the channel.
  int ServeSession(int channel, internal::v1::OpenSession request);

  // Behind a pointer that is never freed: dropping Python objects at exit would run their code.
  State* state_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_PYTHON_RUNTIME_H_
