// What churning clients do with messages.

#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/integration/churn_client.h"

namespace cloister::testing {

using v1::ConnectRequest;
using v1::ConnectResponse;

// A client that offers `f`. It has vanished with it.
struct ChurnClient::Connection {
  Connection(ServerProcess* server, const std::string& interpreter) : context(Context()) {
    stream = server->messages().Connect(context.get());
    ConnectRequest request;
    request.mutable_open()->set_interpreter(interpreter);
    request.mutable_open()->add_host_functions("f");
    ConnectResponse response;
    is_open = stream->Write(request) && stream->Read(&response);
  }
  ~Connection() {
    context->TryCancel();
    if (!is_finished) (void)Finish();
  }
  grpc::Status Finish() {
    is_finished = true;
    ConnectResponse response;
    while (stream->Read(&response)) {
    }
    return stream->Finish();
  }
  ConnectResponse Read() {
    ConnectResponse response;
    while (stream->Read(&response) && (response.has_keep_alive() || response.has_post_credit())) {
    }
    return response;
  }

  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientReaderWriter<ConnectRequest, ConnectResponse>> stream;
  bool is_open = false;
  bool is_finished = false;
};

// The one before may not be known to have gone.
std::unique_ptr<ChurnClient::Connection> ChurnClient::ConnectClient(const std::string& interpreter) {
  for (int i = 0; i < 1000; ++i) {
    auto connection = std::make_unique<Connection>(server_, interpreter);
    if (connection->is_open) return connection;
    const grpc::Status status = connection->Finish();
    if (status.error_code() == grpc::StatusCode::ALREADY_EXISTS) continue;
    (void)Check(status, "connect");
    return nullptr;
  }
  Expect("ALREADY_CONNECTED", "connected", "a thousand times");
  return nullptr;
}

void ChurnClient::ExchangeMessages() {
  Held& held = Pick();
  v1::PostMessageRequest request;
  request.set_interpreter(held.name);
  request.mutable_value()->set_int_value(held.n);
  v1::PostMessageResponse response;
  if (!Check(server_->messages().PostMessage(Context().get(), request, &response), "post")) return;
  Expect(RunCell(held.name,
                 "import cloister\nm = cloister.inbox.get(timeout=30)\n"
                 "cloister.post(m)\ncloister.post('x' * 100_000)",
                 nullptr),
         "SUCCEEDED", "messages");
  const auto connection = ConnectClient(held.name);
  if (connection == nullptr) return;
  Expect(absl::StrCat(connection->Read().message().int_value()), absl::StrCat(held.n), "the message");
  Expect(absl::StrCat(connection->Read().message().string_value().size()), "100000", "a longer one");
  Step(held);
}

void ChurnClient::VanishMidCall() {
  Held& held = Pick();
  auto connection = ConnectClient(held.name);
  if (connection == nullptr) return;
  std::thread caller([this, &held] {
    Expect(RunCell(held.name,
                   "import cloister\ntry: cloister.host.f()\nexcept cloister.ChannelClosed: pass\n"
                   "else: raise AssertionError('answered')",
                   nullptr),
           "SUCCEEDED", "a call nobody answers");
  });
  (void)connection->Read();
  connection.reset();
  caller.join();
  Step(held);
}

void ChurnClient::CallBetweenInterpreters() {
  Held& held = Pick();
  Expect(RunCell(held.name,
                 "import cloister\nwith cloister.spawn_interpreter() as w:\n"
                 "    assert w.call('math:factorial', 5) == 120",
                 nullptr),
         "SUCCEEDED", "a call of another interpreter");
  Step(held);
}

}  // namespace cloister::testing
