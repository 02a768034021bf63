#include "cloister/client/token.h"

#include <cstdlib>

#include "gtest/gtest.h"

namespace cloister::client {
namespace {

TEST(TokenTest, StaysOnThisMachineUnencrypted) {
  ::unsetenv("CLOISTER_INSECURE_PLAINTEXT");
  for (const char* local : {"unix:/run/cloister.sock", "localhost:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1"}) {
    EXPECT_TRUE(CheckTokenMayGoTo(local).ok()) << local;
  }
  for (const char* other : {"127.example.org:1", "10.0.0.1:1", "localhost.example.org:1", "127.0.0.1.example.org:1",
                            "example.org:1", "[::2]:1"}) {
    EXPECT_EQ(CheckTokenMayGoTo(other).code(), absl::StatusCode::kFailedPrecondition) << other;
  }
}

}  // namespace
}  // namespace cloister::client
