// A spawner with one zygote, of a guest of a few lines.

#ifndef CLOISTER_TESTS_INTEGRATION_SPAWNER_SPAWNER_FIXTURE_H_
#define CLOISTER_TESTS_INTEGRATION_SPAWNER_SPAWNER_FIXTURE_H_

#include <unistd.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/integration/spawner/spawner_client.h"

namespace cloister::sandbox {

class SpawnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    client_ = std::make_unique<SpawnerClient>();
    const Received started = client_->StartZygote(1, client_->Spec());
    ASSERT_TRUE(started.event.has_zygote_started()) << started.event.ShortDebugString();
    EXPECT_EQ(started.event.zygote_started().python_version(), "tiny 1.0");
  }

  pid_t FindProcess(const std::string& name) {
    for (pid_t pid : ProcessTree(client_->pid())) {
      if (ProcessName(pid) == name) return pid;
    }
    ADD_FAILURE() << "no process " << name;
    return -1;
  }

  std::unique_ptr<SpawnerClient> client_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_INTEGRATION_SPAWNER_SPAWNER_FIXTURE_H_
