#include "clients/cli/bench/stream_echo.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "clients/cli/bench/anchors.h"
#include "clients/cli/bench/child_process.h"
#include "clients/cli/bench/scratch_directory.h"
#include "cloister/client/channel.h"
#include "cloister/internal/v1/echo.grpc.pb.h"

namespace cloister::cli::bench {
namespace {

// About what a small message weighs.
constexpr size_t kPayloadBytes = 64;

}  // namespace

Json MeasureStreamEcho(const BenchOptions& options) {
  const absl::StatusOr<ScratchDirectory> directory = ScratchDirectory::Create();
  if (!directory.ok()) return Absent(std::string(directory.status().message()));
  const std::string address = absl::StrCat("unix:", directory->path(), "/echo.sock");
  absl::StatusOr<ChildProcess> server =
      ChildProcess::Start({"/proc/self/exe", "bench-echo-server", "--listen", address});
  if (!server.ok()) return Absent(std::string(server.status().message()));
  if (const auto ready = server->ReadLine(); !ready.ok())
    return Absent(std::string(ready.status().message()));

  const auto stub = internal::v1::EchoService::NewStub(client::CreateChannel(address));
  grpc::ClientContext context;
  const auto stream = stub->EchoStream(&context);
  internal::v1::EchoRequest request;
  request.set_payload(std::string(kPayloadBytes, 'x'));
  internal::v1::EchoResponse response;
  const LatencySample sample = MeasureRounds(
      options.duration, [&] { return stream->Write(request) && stream->Read(&response); });
  stream->WritesDone();
  if (const grpc::Status status = stream->Finish(); !status.ok())
    return Absent(status.error_message());
  Json results = Json::object();
  SetLatency(sample, "", &results);
  return results;
}

}  // namespace cloister::cli::bench
