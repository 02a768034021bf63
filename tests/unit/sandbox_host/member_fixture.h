// A live sandbox to which the test, as spawner and guest, adds further processes.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_HOST_MEMBER_FIXTURE_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_HOST_MEMBER_FIXTURE_H_

#include <memory>

#include "sandbox/host/host_sandbox.h"
#include "sandbox/host/member_process.h"
#include "tests/unit/sandbox_host/host_session_fixture.h"

namespace cloister::sandbox {

class MemberTest : public HostSessionTest {
 protected:
  HostSandbox& home() { return static_cast<HostSandbox&>(*sandbox_); }

  // The request that has to come now, answered as far as SandboxCreated.
  std::unique_ptr<FakeGuest> AnswerAddProcess() {
    const internal::v1::AddProcess request = spawner_->Next().add_process();
    EXPECT_EQ(request.sandbox_id(), guest_->sandbox_id());
    auto guest = std::make_unique<FakeGuest>(request.process_id());
    spawner_->SayCreated(guest.get());
    return guest;
  }

  // One that is ready.
  std::unique_ptr<FakeGuest> AddMember(std::unique_ptr<MemberProcess>* member) {
    home().AddProcess([member](auto made) {
      ASSERT_TRUE(made.ok()) << made.status();
      *member = *std::move(made);
    });
    auto guest = AnswerAddProcess();
    guest->SayReady();
    RunUntil(&loop_, [member] { return *member != nullptr; });
    return guest;
  }

  // The end of a process that was killed together with its sandbox.
  internal::v1::SandboxExited EndWithSandbox(FakeGuest* guest) {
    internal::v1::SandboxExited exited = guest->Die(SIGKILL);
    exited.set_with_sandbox(true);
    return exited;
  }
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_HOST_MEMBER_FIXTURE_H_
