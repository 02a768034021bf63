// A further process of a live sandbox, waiting for its first frame; whoever asked for it gives it one
// and speaks with it from there on.
//
// Thread-safety: the loop's thread only.
// Ownership: of the process's descriptors. Destroying it, at any time and from inside any callback,
// kills the process, and nothing else of the sandbox. The sandbox outlives it.

#ifndef CLOISTER_SANDBOX_HOST_MEMBER_PROCESS_H_
#define CLOISTER_SANDBOX_HOST_MEMBER_PROCESS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/outcome_classifier.h"
#include "sandbox/host/sandbox_members.h"
#include "sandbox/host/sandbox_parts.h"
#include "sandbox/host/spawned_process.h"

namespace cloister::sandbox {

class MemberProcess final : public SpawnedProcess, public SandboxMember {
 public:
  // Who speaks with it. Each call may destroy the process.
  class User {
   public:
    virtual ~User() = default;

    // A signal that SandboxParts::SendSignal asked for was sent.
    virtual void OnSignaled() {}
    // It has ended, by itself or by a kill of it alone. Its channel's end comes before or after.
    virtual void OnExited(const internal::v1::SandboxExited& exit) = 0;
    // Its sandbox has ended, and it with that; told after the sandbox's own observer, as the last
    // thing. It may not be reaped yet; nothing more is to be learnt of it.
    virtual void OnSandboxEnded(HostStop stop, const std::string& detail) = 0;
  };

  // INTERNAL where the descriptors are not those of SandboxCreated or cannot be watched.
  static absl::StatusOr<std::unique_ptr<MemberProcess>> Create(
      AsioLoop* loop, SandboxControl* control, const internal::v1::SandboxCreated& created,
      std::vector<UniqueFd> descriptors);
  MemberProcess(const MemberProcess&) = delete;
  MemberProcess& operator=(const MemberProcess&) = delete;
  ~MemberProcess() override;

  SandboxParts* parts() { return &parts_; }

  // Null: nobody. One that comes late is told of an end that was, never inline.
  void SetUser(User* user);

  // Kills it. Its user is told of the end.
  void Kill() { parts_.control->Kill(parts_.id); }

  // SpawnedProcess.
  void AwaitReady(std::function<void(absl::Status)> ready) override;
  void OnSignaled() override;
  void OnExited(const internal::v1::SandboxExited& exit) override;
  void OnSpawnerLost() override {}  // its sandbox is told, and tells

  // SandboxMember.
  void OnSandboxEnded(HostStop stop, const std::string& detail) override;

 private:
  MemberProcess(AsioLoop* loop, SandboxControl* control,
                const internal::v1::SandboxCreated& created, std::vector<UniqueFd> descriptors)
      : parts_(MakeSandboxParts(loop, control, created, std::move(descriptors))) {}

  SandboxParts parts_;
  User* user_ = nullptr;
  std::optional<internal::v1::SandboxExited> exit_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_MEMBER_PROCESS_H_
