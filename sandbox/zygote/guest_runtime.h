// What the zygote needs of a language runtime. sandbox/guest implements it with CPython; tests
// implement it in a few lines of C++. Everything is called on the process's only thread.

#ifndef CLOISTER_SANDBOX_ZYGOTE_GUEST_RUNTIME_H_
#define CLOISTER_SANDBOX_ZYGOTE_GUEST_RUNTIME_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/spawner.pb.h"

namespace cloister::sandbox {

class GuestRuntime {
 public:
  virtual ~GuestRuntime() = default;

  // In the zygote, once: starts the interpreter, imports spec.warm_up_imports, collects and freezes
  // the heap. Returns the language version, e.g. "3.14.10". Must leave the process with one thread.
  // Errors name the module that failed.
  virtual absl::StatusOr<std::string> WarmUp(const internal::v1::ZygoteSpec& spec) = 0;

  // In the zygote, immediately before each clone, and after it in the parent.
  virtual void BeforeFork() = 0;
  virtual void AfterForkInParent() = 0;

  // In the child, first thing after the clone and before confinement: puts the interpreter into a
  // usable state. Must not open descriptors or start threads.
  virtual void AfterForkInChild() = 0;

  // In the child, confined: renews all randomness, drops what clones must not share, and touches
  // the pages a first program would fault in.
  virtual absl::Status Prepare() = 0;

  // In the child, confined: reads HostFrames from `channel`. After run_program it answers Finished,
  // then waits for the end of the channel or a kill; after open_session it serves cells until then,
  // after serve_files files.
  // Returns the process's exit status.
  virtual int Serve(int channel) = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_GUEST_RUNTIME_H_
