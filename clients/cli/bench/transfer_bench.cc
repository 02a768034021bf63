// `transfer`: buffers and objects that go from interpreter to interpreter and back, by size.
// `clone`: a message of 1,000 records as a clone, beside pickle and marshal in the same
// interpreter.

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clients/cli/bench/anchors.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/child_process.h"
#include "clients/cli/bench/live_sandboxes.h"
#include "clients/cli/bench/machine.h"
#include "cloister/client/channel.h"
#include "cloister/v1/execution_service.grpc.pb.h"

namespace cloister::cli::bench {
namespace {

// A round trip is two transfers; what is told is half of one. Each size has SECONDS.
constexpr char kMeasure[] = R"(
import cloister, json, time
clock, inbox = time.perf_counter, cloister.inbox
def measure(kind, size):
    item = cloister.SharedBuffer(size) if kind == "buffer" else b"x" * size
    if kind == "buffer":
        with memoryview(item) as view:
            view[:] = b"x" * size
    times, end = [], clock() + SECONDS
    while len(times) < 10 or clock() < end:
        begin = clock()
        if kind == "move":
            item = cloister.Movable(item)
        message = kind, item
        cloister.post(message, to=PEER, transfer=() if kind == "copy" else (item,))
        del message, item
        item = inbox.get()[1]
        times.append((clock() - begin) / 2)
    assert len(item) == size
    times = sorted(times[len(times) // 10:])
    return times[len(times) // 2] * 1e6
results = {}
for kind, sizes in (("buffer", (1, 4, 16, 64)), ("move", (1, 4, 16, 64)), ("copy", (1, 4, 15))):
    if kind in KINDS:
        for mebibytes in sizes:
            results[f"{PREFIX}{kind}_{mebibytes}_mib_p50_us"] = measure(kind, mebibytes << 20)
cloister.post(None, to=PEER)
print(json.dumps(results))
)";
constexpr char kEcho[] = R"(
import cloister
inbox = cloister.inbox
while True:
    message = inbox.get()
    if message is None:
        break
    kind, item = message
    del message
    if kind == "move":
        item = cloister.Movable(item)
    cloister.post((kind, item), to=PEER, transfer=() if kind == "copy" else (item,))
    del item
)";

// 1,000 records as programs send them, there and back through each codec, in turns; and as a
// message through a channel.
constexpr char kClone[] = R"(
import cloister, json, marshal, pickle, time
records = [{"id": i, "name": f"user {i}", "email": f"user{i}@example.org", "score": i / 7, "active": i % 2 == 0,
            "tags": ["a", "b"]} for i in range(1000)]
channel = cloister.Channel()
def through_channel():
    channel.put(records)
    return channel.get()
codecs = {"clone": lambda: cloister.clone(records), "message": through_channel,
          "pickle": lambda: pickle.loads(pickle.dumps(records, 5)),
          "marshal": lambda: marshal.loads(marshal.dumps(records)),
          "json": lambda: json.loads(json.dumps(records))}
times, clock = {name: [] for name in codecs}, time.perf_counter
for codec in codecs.values():
    assert codec() == records
end = clock() + SECONDS
while clock() < end:
    for name, codec in codecs.items():
        begin = clock()
        codec()
        times[name].append(clock() - begin)
print(json.dumps({f"{name}_round_trip_p50_us": sorted(taken)[len(taken) // 2] * 1e6
                  for name, taken in times.items()}))
)";

// What processes of one machine have for it: bytes through a pipe, and memory by its name.
constexpr char kProcesses[] = R"(
import json, multiprocessing, time
from multiprocessing import shared_memory
def echo(end):
    while (message := end.recv()) is not None:
        if isinstance(message, str):
            memory = shared_memory.SharedMemory(message)
            memory.buf[0] = 1
            memory.close()
        end.send(message)
def measure(once):
    times, end = [], time.perf_counter() + SECONDS
    while len(times) < 10 or time.perf_counter() < end:
        begin = time.perf_counter()
        once()
        times.append((time.perf_counter() - begin) / 2)
    times = sorted(times[len(times) // 10:])
    return times[len(times) // 2] * 1e6
here, there = multiprocessing.Pipe()
process = multiprocessing.get_context("fork").Process(target=echo, args=(there,))
process.start()
results = {}
for mebibytes in (1, 4, 16, 64):
    content = b"x" * (mebibytes << 20)
    def piped():
        here.send(content)
        here.recv()
    results[f"pipe_{mebibytes}_mib_p50_us"] = measure(piped)
    memory = shared_memory.SharedMemory(create=True, size=mebibytes << 20)
    memory.buf[:len(content)] = content
    def named():
        here.send(memory.name)
        here.recv()
    results[f"shared_memory_{mebibytes}_mib_p50_us"] = measure(named)
    memory.close()
    memory.unlink()
here.send(None)
process.join()
print(json.dumps(results))
)";

Json ParseResults(const std::string& text) {
  Json results = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return results.is_object() ? results : Absent("it printed no figures");
}

// Runs code that prints figures, and adds them. INTERNAL: it did not succeed.
absl::Status RunForResults(const std::string& address, const std::string& interpreter,
                           const std::string& code, Json* results) {
  const auto stub = v1::ExecutionService::NewStub(client::CreateChannel(address));
  v1::RunCodeRequest request;
  request.set_interpreter(interpreter);
  request.mutable_program()->set_code(code);
  v1::RunCodeResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub->RunCode(&context, request, &response);
  if (!status.ok()) return absl::UnavailableError(status.error_message());
  const v1::Outcome& outcome = response.outcome();
  if (outcome.kind() != v1::Outcome::KIND_SUCCEEDED) {
    return absl::InternalError(absl::StrCat(outcome.detail(), outcome.exception().traceback()));
  }
  results->update(ParseResults(response.stdout()));
  return absl::OkStatus();
}

std::string WithSettings(const char* code, absl::Duration duration, const std::string& prefix,
                         const std::string& peer, const std::string& kinds) {
  return absl::StrCat("SECONDS = ", absl::ToDoubleSeconds(duration), "\nPREFIX = '", prefix,
                      "'\nPEER = '", peer, "'\nKINDS = '", kinds, "'\n", code);
}

// Between two further interpreters of one profile.
absl::Status MeasurePair(const BenchOptions& options, const std::string& address,
                         const std::string& prefix, v1::Interpreter::Profile profile,
                         Json* results) {
  LiveSandboxes sandboxes(address);
  const absl::StatusOr<std::string> sandbox = sandboxes.Create(options.template_name);
  if (!sandbox.ok()) return sandbox.status();
  const absl::StatusOr<std::string> here = sandboxes.AddInterpreter(*sandbox, profile, "here");
  if (!here.ok()) return here.status();
  const absl::StatusOr<std::string> there = sandboxes.AddInterpreter(*sandbox, profile, "there");
  if (!there.ok()) return there.status();
  const char* const kinds = "buffer move copy";
  absl::Status echoed;
  std::thread echo([&] {
    echoed = sandboxes.Run(*there, WithSettings(kEcho, options.duration, prefix, "here", kinds));
  });
  const absl::Status measured =
      RunForResults(address, *here,
                    WithSettings(kMeasure, options.duration / 10, prefix, "there", kinds), results);
  // Where one has failed, the other would wait for it.
  if (!measured.ok()) sandboxes.DeleteFrom(0);
  echo.join();
  return measured.ok() ? echoed : measured;
}

Json MeasureProcesses(absl::Duration duration) {
  const absl::StatusOr<ProgramOutput> output =
      RunToEnd({"/usr/bin/python3", "-c",
                absl::StrCat("SECONDS = ", absl::ToDoubleSeconds(duration), "\n", kProcesses)},
               /*capture=*/true);
  if (!output.ok()) return Absent(std::string(output.status().message()));
  if (output->exit_code != 0) return Absent("the machine's python3 did not run it");
  return ParseResults(output->out);
}

void AddSizeTarget(const std::string& what, Report* report) {
  report->targets.push_back({absl::StrCat(what, ": 64 MiB in at most twice the time of 1 MiB"),
                             Ratio(Number(report->results, absl::StrCat(what, "_64_mib_p50_us")),
                                   Number(report->results, absl::StrCat(what, "_1_mib_p50_us"))),
                             2, Target::Better::kLower});
}

}  // namespace

absl::StatusOr<Report> BenchTransfer(const BenchOptions& options) {
  const absl::StatusOr<std::string> address = client::ResolveServerAddress(options.server);
  if (!address.ok()) return address.status();
  Report report;
  report.bench = "transfer";
  absl::Status measured = MeasurePair(options, *address, "isolated_",
                                      v1::Interpreter::PROFILE_ISOLATED, &report.results);
  if (measured.ok()) {
    measured = MeasurePair(options, *address, "process_", v1::Interpreter::PROFILE_PROCESS,
                           &report.results);
  }
  if (!measured.ok()) return measured;
  report.machine = MachineJson("");
  report.config = {{"seconds_per_size", absl::ToDoubleSeconds(options.duration / 10)},
                   {"transport", *address},
                   {"measured", "half of a round trip, in the sender"}};
  if (!options.no_anchors) report.anchors["processes"] = MeasureProcesses(options.duration / 10);
  for (const char* what : {"isolated_buffer", "process_buffer", "isolated_move"}) {
    AddSizeTarget(what, &report);
  }
  return report;
}

absl::StatusOr<Report> BenchClone(const BenchOptions& options) {
  const absl::StatusOr<std::string> address = client::ResolveServerAddress(options.server);
  if (!address.ok()) return address.status();
  Report report;
  report.bench = "clone";
  {
    LiveSandboxes sandboxes(*address);
    const absl::StatusOr<std::string> sandbox = sandboxes.Create(options.template_name);
    if (!sandbox.ok()) return sandbox.status();
    const absl::Status measured = RunForResults(
        *address, *sandbox, WithSettings(kClone, options.duration, "", "", ""), &report.results);
    if (!measured.ok()) return measured;
  }
  report.machine = MachineJson("");
  report.config = {{"duration_seconds", absl::ToDoubleSeconds(options.duration)},
                   {"transport", *address},
                   {"message", "1,000 dicts of 6 entries"}};
  for (const char* anchor : {"pickle", "marshal", "json"}) {
    const std::string name = absl::StrCat(anchor, "_round_trip_p50_us");
    const std::optional<double> taken = Number(report.results, name);
    if (taken.has_value()) report.anchors[anchor] = {{"round_trip_p50_us", *taken}};
    report.results.erase(name);
  }
  const auto anchor = [&report](const char* name) -> std::optional<double> {
    const auto found = report.anchors.find(name);
    return found == report.anchors.end() ? std::nullopt : Number(*found, "round_trip_p50_us");
  };
  const std::optional<double> clone = Number(report.results, "clone_round_trip_p50_us");
  report.targets.push_back({"clone_round_trip_p50_us at most half of pickle's", clone,
                            Times(anchor("pickle"), 0.5), Target::Better::kLower});
  report.targets.push_back({"clone_round_trip_p50_us at most marshal's", clone, anchor("marshal"),
                            Target::Better::kLower});
  return report;
}

}  // namespace cloister::cli::bench
