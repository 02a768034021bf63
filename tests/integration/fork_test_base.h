// Calls that tests of forks and snapshots share.

#ifndef CLOISTER_TESTS_INTEGRATION_FORK_TEST_BASE_H_
#define CLOISTER_TESTS_INTEGRATION_FORK_TEST_BASE_H_

#include <mutex>
#include <string>
#include <vector>

#include "tests/integration/live_test.h"

namespace cloister::testing {

class ForkTest : public LiveTest {
 protected:
  grpc::Status TryFork(const v1::ForkSandboxRequest& request, std::vector<std::string>* names) {
    v1::ForkSandboxResponse response;
    const grpc::Status status =
        server_->sandboxes().ForkSandbox(Context().get(), request, &response);
    names->clear();
    const std::lock_guard<std::mutex> lock(made_mutex_);
    for (const v1::Sandbox& sandbox : response.sandboxes()) {
      names->push_back(sandbox.name());
      made_.push_back(sandbox.name());
    }
    return status;
  }
  std::vector<std::string> Fork(const std::string& parent, int count = 1,
                                const v1::Limits& limits = {}) {
    v1::ForkSandboxRequest request;
    request.set_name(parent);
    request.set_count(count);
    *request.mutable_limits() = limits;
    std::vector<std::string> names;
    const grpc::Status status = TryFork(request, &names);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(names.size(), static_cast<size_t>(count));
    names.resize(static_cast<size_t>(count));
    return names;
  }
  grpc::Status TrySnapshot(const std::string& sandbox, v1::Snapshot* snapshot) {
    v1::CreateSnapshotRequest request;
    request.set_sandbox(sandbox);
    v1::CreateSnapshotResponse response;
    const grpc::Status status =
        server_->sandboxes().CreateSnapshot(Context().get(), request, &response);
    *snapshot = response.snapshot();
    return status;
  }

 private:
  std::mutex made_mutex_;  // of made_, where tests fork from several threads
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_INTEGRATION_FORK_TEST_BASE_H_
