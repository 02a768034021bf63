// A sandbox that stays with its user: variables, imports and files last from one execution to the next.

#ifndef CLOISTER_CLIENT_SANDBOX_H_
#define CLOISTER_CLIENT_SANDBOX_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cloister/client/execution_follower.h"
#include "cloister/client/services.h"

namespace cloister::client {

// Thread-safety: const methods are safe; executions in one interpreter take their turns in the server.
// Ownership: of the sandbox it was made for, which is deleted when the object goes (a destructor waits 10 s
// at most for that); call Release to leave it until its ttl. One of UseSandbox is left as it is.
class Sandbox {
 public:
  Sandbox(Sandbox&&) noexcept = default;
  // Deletes the one it had.
  Sandbox& operator=(Sandbox&& other) noexcept;
  ~Sandbox();

  // `sandboxes/{sandbox}`; also the name of its interpreter `main`.
  const std::string& name() const { return name_; }

  // Runs code in its interpreter `main` to the end.
  absl::StatusOr<v1::RunCodeResponse> Run(absl::string_view code) const;
  // The same with events as they come, each once, across lost streams; ends with `finished`.
  absl::Status Execute(absl::string_view code, const ExecutionFollower::EventCallback& on_event) const;
  // Ends what runs in `main` within `grace`, keeping the state where it can; an outcome without a kind
  // where nothing ran.
  absl::StatusOr<v1::Outcome> Interrupt(absl::Duration grace = absl::Seconds(2)) const;

  // Copies of state and files, apart from then on. `count`: 1 to 100.
  absl::StatusOr<std::vector<Sandbox>> Fork(int count = 1) const;
  // A copy that nobody runs in; its name goes into CreateSandboxRequest.snapshot. Lives until its ttl.
  absl::StatusOr<std::string> CreateSnapshot() const;

  // Deletes it now, whoever made it.
  absl::Status Delete();
  // Leaves it living; returns its name.
  std::string Release();

 private:
  friend class Client;
  Sandbox(std::shared_ptr<const Services> services, std::string name, bool is_owned)
      : services_(std::move(services)), name_(std::move(name)), is_owned_(is_owned) {}

  void LetGo();
  absl::Status DeleteWithin(absl::Duration timeout) const;

  // Null in one that was moved from.
  std::shared_ptr<const Services> services_;
  std::string name_;
  bool is_owned_;
};

}  // namespace cloister::client

#endif  // CLOISTER_CLIENT_SANDBOX_H_
