// `message`: from a client into an interpreter and back, to and fro between two interpreters, and
// calls of an executor whose workers are interpreters.
// `hostcall`: from code in an interpreter to a function of its client's and back.

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clients/cli/bench/anchors.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/child_process.h"
#include "clients/cli/bench/live_sandboxes.h"
#include "clients/cli/bench/machine.h"
#include "clients/cli/bench/stream_echo.h"
#include "cloister/client/channel.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "cloister/v1/message_service.grpc.pb.h"

namespace cloister::cli::bench {
namespace {

using v1::ConnectRequest;
using v1::ConnectResponse;

constexpr char kEchoCode[] = R"(
import cloister
for message in cloister.inbox:
    if message is None:
        break
    cloister.post(message)
)";

// Both end with the value [p50, p99, count], in microseconds; the first tenth is not counted.
constexpr char kSummary[] = R"(
times = sorted(times[len(times) // 10:])
[times[len(times) // 2] * 1e6, times[len(times) * 99 // 100] * 1e6, len(times)]
)";
constexpr char kHostCallCode[] = R"(
import cloister, time
times, end, clock = [], time.perf_counter() + SECONDS, time.perf_counter
while clock() < end:
    begin = clock()
    cloister.host.f(1)
    times.append(clock() - begin)
)";
constexpr char kPingCode[] = R"(
import cloister, time
times, end, clock, inbox = [], time.perf_counter() + SECONDS, time.perf_counter, cloister.inbox
while clock() < end:
    begin = clock()
    cloister.post(1, to="pong")
    inbox.get()
    times.append(clock() - begin)
cloister.post(None, to="pong")
)";
constexpr char kPongCode[] = R"(
import cloister
for message in cloister.inbox:
    if message is None:
        break
    cloister.post(message, to="ping")
)";

// Calls of an executor with one worker, one by one.
constexpr char kExecutorCode[] = R"(
times, clock = [], time.perf_counter
with executor() as pool:
    pool.submit(abs, -1).result()
    end = clock() + SECONDS
    while clock() < end:
        begin = clock()
        pool.submit(abs, -1).result()
        times.append(clock() - begin)
)";
constexpr char kOurExecutor[] = R"(
import cloister, time
def executor(): return cloister.InterpreterPoolExecutor(1)
)";
constexpr char kProcessExecutor[] = R"(
import json, multiprocessing, time
from concurrent.futures import ProcessPoolExecutor
def executor(): return ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
)";
constexpr char kInterpreterExecutor[] = R"(
import json, time
from concurrent.futures import InterpreterPoolExecutor
def executor(): return InterpreterPoolExecutor(1)
)";
constexpr char kPrintSummary[] = R"(
times = sorted(times[len(times) // 10:])
print(json.dumps({"latency_p50_us": times[len(times) // 2] * 1e6,
                  "latency_p99_us": times[len(times) * 99 // 100] * 1e6, "latency_count": len(times)}))
)";

// What processes of one machine have for it.
constexpr char kPipeProgram[] = R"(
import json, multiprocessing, time
def pong(end):
    while (message := end.recv()) is not None:
        end.send(message)
here, there = multiprocessing.Pipe()
process = multiprocessing.get_context("fork").Process(target=pong, args=(there,))
process.start()
times, end, clock = [], time.perf_counter() + SECONDS, time.perf_counter
while clock() < end:
    begin = clock()
    here.send(1)
    here.recv()
    times.append(clock() - begin)
here.send(None)
process.join()
)";

// What interpreters of one process have for it, where the machine's own Python has interpreters.
constexpr char kQueueProgram[] = R"python(
import json, threading, time
from concurrent import interpreters
ping, pong = interpreters.create_queue(), interpreters.create_queue()
other = interpreters.create()
other.prepare_main(ping=ping, pong=pong)
thread = threading.Thread(target=other.exec, args=("while (m := ping.get()) is not None: pong.put(m)",))
thread.start()
times, end, clock = [], time.perf_counter() + SECONDS, time.perf_counter
while clock() < end:
    begin = clock()
    ping.put(1)
    pong.get()
    times.append(clock() - begin)
ping.put(None)
thread.join()
)python";

std::string WithSeconds(const std::string& code, absl::Duration duration) {
    return absl::StrCat("SECONDS = ", absl::ToDoubleSeconds(duration), "\n", code);
}

Json MeasureProgram(const std::string& program, absl::Duration duration, const std::string& otherwise) {
    const absl::StatusOr<ProgramOutput> output =
        RunToEnd({"/usr/bin/python3", "-c", WithSeconds(program, duration) + kPrintSummary}, /*capture=*/true);
    if (!output.ok()) return Absent(std::string(output.status().message()));
    if (output->exit_code != 0) return Absent(otherwise);
    const Json results = Json::parse(output->out, nullptr, /*allow_exceptions=*/false);
    return results.is_object() ? results : Absent("it printed no figures");
}

// Code that runs in an interpreter beside whatever else is done.
class BesideCode {
   public:
    BesideCode(const std::string& address, const std::string& interpreter, const std::string& code)
        : stub_(v1::ExecutionService::NewStub(client::CreateChannel(address))) {
      request_.set_interpreter(interpreter);
      request_.mutable_program()->set_code(code);
      request_.mutable_program()->set_return_value(true);
      request_.mutable_program()->set_value_form(v1::VALUE_FORM_TYPED);
      thread_ = std::thread([this] { status_ = stub_->RunCode(&context_, request_, &response_); });
    }
    BesideCode(const BesideCode&) = delete;
    BesideCode& operator=(const BesideCode&) = delete;
    ~BesideCode() {
      context_.TryCancel();
      if (thread_.joinable()) thread_.join();
    }

    // Its end, and the figures it ended with.
    absl::Status AwaitFigures(const std::string& prefix, Json* results) {
      thread_.join();
      if (!status_.ok()) return absl::UnavailableError(status_.error_message());
      const v1::Items& figures = response_.outcome().value().list_value();
      if (figures.items_size() != 3) {
        return absl::InternalError(
            absl::StrCat("the code gave no figures: ", response_.outcome().exception().message()));
      }
      (*results)[prefix + "latency_p50_us"] = figures.items(0).float_value();
      (*results)[prefix + "latency_p99_us"] = figures.items(1).float_value();
      (*results)[prefix + "latency_count"] = figures.items(2).int_value();
      return absl::OkStatus();
    }

   private:
    const std::unique_ptr<v1::ExecutionService::Stub> stub_;
    v1::RunCodeRequest request_;
    v1::RunCodeResponse response_;
    grpc::ClientContext context_;
    grpc::Status status_;
    std::thread thread_;
};

// A client that is connected to an interpreter.
struct Connection {
    Connection(const std::string& address, const std::string& interpreter)
        : stub(v1::MessageService::NewStub(client::CreateChannel(address))),
          stream(stub->Connect(&context)) {
      ConnectRequest request;
      request.mutable_open()->set_interpreter(interpreter);
      request.mutable_open()->add_host_functions("f");
      ConnectResponse response;
      is_open = stream->Write(request) && stream->Read(&response);
    }
    ~Connection() {
      context.TryCancel();
      if (!is_finished) (void)Finish();
    }
    grpc::Status Finish() {
      is_finished = true;
      ConnectResponse response;
      while (stream->Read(&response)) {
      }
      return stream->Finish();
    }
    absl::Status Failure() {
      return absl::UnavailableError(absl::StrCat("the stream ended: ", Finish().error_message()));
    }

    grpc::ClientContext context;
    const std::unique_ptr<v1::MessageService::Stub> stub;
    const std::unique_ptr<grpc::ClientReaderWriter<ConnectRequest, ConnectResponse>> stream;
    bool is_open = false;
    bool is_finished = false;
};

absl::Status MeasureMessages(const std::string& address, const std::string& sandbox, absl::Duration duration,
                             Json* results) {
    BesideCode echo(address, sandbox, kEchoCode);
    Connection client(address, sandbox);
    if (!client.is_open) return client.Failure();
    ConnectRequest request;
    request.mutable_post()->set_string_value(std::string(64, 'x'));
    ConnectResponse response;
    const LatencySample sample = MeasureRounds(duration, [&] {
      if (!client.stream->Write(request)) return false;
      do {
        if (!client.stream->Read(&response)) return false;
      } while (!response.has_message());
      return true;
    });
    if (sample.count() == 0) return client.Failure();
    SetLatency(sample, "", results);
    return absl::OkStatus();
}

absl::Status MeasurePingPong(const std::string& address, const std::string& sandbox, LiveSandboxes* sandboxes,
                             absl::Duration duration, Json* results) {
    for (const char* id : {"ping", "pong"}) {
      const auto made = sandboxes->AddInterpreter(sandbox, v1::Interpreter::PROFILE_ISOLATED, id);
      if (!made.ok()) return made.status();
    }
    BesideCode pong(address, sandbox + "/interpreters/pong", kPongCode);
    BesideCode ping(address, sandbox + "/interpreters/ping",
                    WithSeconds(kPingCode, duration) + kSummary);
    return ping.AwaitFigures("interpreters_", results);
}

absl::Status MeasureExecutor(const std::string& address, const std::string& sandbox, absl::Duration duration,
                             Json* results) {
    BesideCode calls(address, sandbox,
                     absl::StrCat(kOurExecutor, WithSeconds(kExecutorCode, duration), kSummary));
    return calls.AwaitFigures("executor_", results);
}

absl::Status MeasureHostCalls(const std::string& address, const std::string& sandbox, absl::Duration duration,
                              Json* results) {
    Connection client(address, sandbox);
    if (!client.is_open) return client.Failure();
    std::thread answers([&client] {
      ConnectResponse response;
      ConnectRequest request;
      while (client.stream->Read(&response)) {
        if (!response.has_host_call()) continue;
        request.mutable_host_call_result()->set_number(response.host_call().number());
        *request.mutable_host_call_result()->mutable_value() = response.host_call().arguments(0);
        if (!client.stream->Write(request)) break;
      }
    });
    BesideCode calls(address, sandbox, WithSeconds(kHostCallCode, duration) + kSummary);
    const absl::Status measured = calls.AwaitFigures("", results);
    client.context.TryCancel();
    answers.join();
    return measured;
}

std::optional<double> AnchorP50(const Report& report, const char* name) {
    const auto found = report.anchors.find(name);
    return found == report.anchors.end() ? std::nullopt : Number(*found, "latency_p50_us");
}

// A sandbox, measured by `measure`; and the anchors of both.
template <typename Measure>
absl::StatusOr<Report> Bench(const BenchOptions& options, const char* name, Measure measure) {
    const absl::StatusOr<std::string> address = client::ResolveServerAddress(options.server);
    if (!address.ok()) return address.status();
    Report report;
    report.bench = name;
    {
      LiveSandboxes sandboxes(*address);
      const absl::StatusOr<std::string> sandbox = sandboxes.Create(options.template_name);
      if (!sandbox.ok()) return sandbox.status();
      if (absl::Status measured = measure(*address, *sandbox, &sandboxes, &report.results);
          !measured.ok()) {
        return measured;
      }
    }
    report.machine = MachineJson("");
    report.config = {{"duration_seconds", absl::ToDoubleSeconds(options.duration)},
                     {"transport", *address},
                     {"message", "text of 64 characters"}};
    if (!options.no_anchors) report.anchors["grpc_stream_echo"] = MeasureStreamEcho(options);
    report.targets.push_back({"latency_p50_us at most twice a raw echo on a stream",
                              Number(report.results, "latency_p50_us"),
                              Times(AnchorP50(report, "grpc_stream_echo"), 2),
                              Target::Better::kLower});
    return report;
}

}  // namespace

absl::StatusOr<Report> BenchMessage(const BenchOptions& options) {
  absl::StatusOr<Report> report = Bench(
      options, "message",
      [&](const std::string& address, const std::string& sandbox, LiveSandboxes* sandboxes,
          Json* results) {
        absl::Status measured = MeasureMessages(address, sandbox, options.duration, results);
        if (!measured.ok()) return measured;
        measured = MeasurePingPong(address, sandbox, sandboxes, options.duration, results);
        if (!measured.ok()) return measured;
        return MeasureExecutor(address, sandbox, options.duration, results);
      });
  if (!report.ok()) return report;
  if (!options.no_anchors) {
    report->anchors["multiprocessing_pipe"] =
        MeasureProgram(kPipeProgram, options.duration, "the machine's python3 did not run it");
    report->anchors["interpreters_queue"] =
        MeasureProgram(kQueueProgram, options.duration,
                       "the machine's python3 has no concurrent.interpreters (3.14 and later)");
    report->anchors["process_pool_executor"] =
        MeasureProgram(absl::StrCat(kProcessExecutor, kExecutorCode), options.duration,
                       "the machine's python3 did not run it");
    report->anchors["interpreter_pool_executor"] =
        MeasureProgram(absl::StrCat(kInterpreterExecutor, kExecutorCode), options.duration,
                       "the machine's python3 has no InterpreterPoolExecutor (3.14 and later)");
  }
  report->targets.push_back({"interpreters_latency_p50_us",
                             Number(report->results, "interpreters_latency_p50_us"), 15,
                             Target::Better::kLower});
  report->targets.push_back({"executor_latency_p50_us at most half of ProcessPoolExecutor's",
                             Number(report->results, "executor_latency_p50_us"),
                             Times(AnchorP50(*report, "process_pool_executor"), 0.5),
                             Target::Better::kLower});
  return report;
}

absl::StatusOr<Report> BenchHostCall(const BenchOptions& options) {
  return Bench(
      options, "hostcall",
      [&](const std::string& address, const std::string& sandbox, LiveSandboxes*, Json* results) {
        return MeasureHostCalls(address, sandbox, options.duration, results);
      });
}

}  // namespace cloister::cli::bench
