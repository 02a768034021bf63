// Runs a program, keeps a sandbox, forks it, and takes a refusal apart.

#include <cstdio>
#include <string>

#include "cloister/client/client.h"
#include "cloister/client/service_error.h"

namespace {

int Fail(const absl::Status& status) {
  const cloister::client::ServiceError error = cloister::client::ParseServiceError(status);
  fprintf(stderr, "%s [%s]\n", error.message.c_str(), error.reason.c_str());
  return 1;
}

int Run() {
  auto client = cloister::client::Client::Connect();
  if (!client.ok()) return Fail(client.status());

  auto ran = client->Run("print(6 * 7)");
  if (!ran.ok()) return Fail(ran.status());
  printf("a program: %s", ran->stdout().c_str());

  auto sandbox = client->CreateSandbox();
  if (!sandbox.ok()) return Fail(sandbox.status());
  if (auto set = sandbox->Run("x = 41"); !set.ok()) return Fail(set.status());
  auto forks = sandbox->Fork(2);
  if (!forks.ok()) return Fail(forks.status());
  if (auto changed = forks->front().Run("x = 0"); !changed.ok()) return Fail(changed.status());
  std::string streamed;
  const absl::Status followed =
      sandbox->Execute("print(x + 1)", [&streamed](const cloister::v1::ExecutionEvent& event) {
        if (event.has_stdout()) streamed += event.stdout();
      });
  if (!followed.ok()) return Fail(followed);
  printf("a sandbox, whatever its forks do: %s", streamed.c_str());

  const auto refused = client->UseSandbox("sandboxes/none").Run("1");
  printf("a refusal: %s\n", cloister::client::ParseServiceError(refused.status()).reason.c_str());
  return 0;
}

}  // namespace

int main() { return Run(); }
