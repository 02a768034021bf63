// The further processes of one live sandbox, to be told when that ends.
//
// Thread-safety: the loop's thread only. Ownership: none; a member is on the list while it lives.

#ifndef CLOISTER_SANDBOX_HOST_SANDBOX_MEMBERS_H_
#define CLOISTER_SANDBOX_HOST_SANDBOX_MEMBERS_H_

#include <memory>
#include <string>
#include <vector>

#include "sandbox/host/outcome_classifier.h"

namespace cloister::sandbox {

class SandboxMember {
 public:
  virtual ~SandboxMember() = default;

  // May destroy this, other members and the sandbox.
  virtual void OnSandboxEnded(HostStop stop, const std::string& detail) = 0;

 private:
  friend class SandboxMembers;
  std::shared_ptr<SandboxMember*> entry_;
};

class SandboxMembers {
 public:
  void Add(SandboxMember* member) {
    std::erase_if(entries_, [](const auto& entry) { return entry.expired(); });
    member->entry_ = std::make_shared<SandboxMember*>(member);
    entries_.push_back(member->entry_);
  }

  // Each that lives still when its turn comes.
  void TellEnded(HostStop stop, const std::string& detail) const {
    const auto entries = entries_;  // this may be destroyed
    for (const std::weak_ptr<SandboxMember*>& entry : entries) {
      // Not kept alive: that it is destroyed meanwhile must show.
      SandboxMember* const member = entry.expired() ? nullptr : *entry.lock();
      if (member != nullptr) member->OnSandboxEnded(stop, detail);
    }
  }

 private:
  std::vector<std::weak_ptr<SandboxMember*>> entries_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_SANDBOX_MEMBERS_H_
