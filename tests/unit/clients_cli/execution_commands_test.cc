#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/commands/signal_watcher.h"
#include "cloister/client/channel.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/unit/clients_cli/fake_execution_service.h"

namespace cloister::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// Before gRPC has threads, as the program itself does.
class SignalEnvironment : public testing::Environment {
  void SetUp() override { BlockSignal(SIGINT); }
};
const auto* const kEnvironment = testing::AddGlobalTestEnvironment(new SignalEnvironment);

// A file in memory that stands for a terminal.
class Capture {
 public:
  Capture() : fd_(::memfd_create("capture", MFD_CLOEXEC)) {}
  ~Capture() { ::close(fd_); }
  int fd() const { return fd_; }
  std::string Text() const {
    std::string text(static_cast<size_t>(::lseek(fd_, 0, SEEK_END)), '\0');
    EXPECT_EQ(::pread(fd_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }

 private:
  const int fd_;
};

class ExecutionCommandsTest : public testing::Test {
 protected:
  ExecutionCommandsTest()
      : stub_(v1::ExecutionService::NewStub(client::CreateChannel(service_.address()))) {
    server_ = {service_.address(),
               stub_.get(),
               nullptr,
               {absl::Milliseconds(1), absl::Milliseconds(4), 3}};
    options_.code = "code";
  }
  ~ExecutionCommandsTest() override { EXPECT_NE(kEnvironment, nullptr); }

  int Run() { return RunProgram(server_, options_, {out_.fd(), err_.fd()}); }

  FakeExecutionService service_;
  std::unique_ptr<v1::ExecutionService::Stub> stub_;
  Server server_;
  RunOptions options_;
  Capture out_;
  Capture err_;
};

TEST_F(ExecutionCommandsTest, PassesBytesOnUntouched) {
  service_.execute.events = {StartedEvent(), StdoutEvent(2, std::string("a\0\xff", 3)),
                             StderrEvent(3, "e"), StdoutEvent(4, "b"),
                             FinishedEvent(5, v1::Outcome::KIND_SUCCEEDED)};
  EXPECT_EQ(Run(), 0);
  EXPECT_EQ(out_.Text(), std::string("a\0\xff"
                                     "b",
                                     4));
  EXPECT_EQ(err_.Text(), "e");
  EXPECT_EQ(service_.execute_request().program().code(), "code");
}

TEST_F(ExecutionCommandsTest, TellsTheEndInOneLineWithoutTheTraceback) {
  v1::ExecutionEvent end = FinishedEvent(3, v1::Outcome::KIND_RAISED);
  end.mutable_finished()->mutable_outcome()->mutable_exception()->set_type("ValueError");
  end.mutable_finished()->mutable_outcome()->mutable_exception()->set_traceback("Traceback");
  service_.execute.events = {StartedEvent(), StderrEvent(2, "Traceback\n"), end};
  EXPECT_EQ(Run(), 1);
  EXPECT_THAT(err_.Text(), StartsWith("Traceback\ncloister: RAISED: ValueError ("));
  EXPECT_EQ(err_.Text().find("Traceback", 1), std::string::npos);
}

TEST_F(ExecutionCommandsTest, QuietKeepsTheProgramsStderrOnly) {
  options_.quiet = true;
  service_.execute.events = {StartedEvent(), FinishedEvent(2, v1::Outcome::KIND_WALL_TIMEOUT)};
  EXPECT_EQ(Run(), 124);
  EXPECT_EQ(err_.Text(), "");
}

TEST_F(ExecutionCommandsTest, ShowsTheValueAfterTheOutput) {
  options_.value = true;
  v1::ExecutionEvent end = FinishedEvent(3, v1::Outcome::KIND_SUCCEEDED);
  end.mutable_finished()->mutable_outcome()->mutable_value()->set_text("42");
  service_.execute.events = {StartedEvent(), StdoutEvent(2, "o\n"), end};
  EXPECT_EQ(Run(), 0);
  EXPECT_EQ(out_.Text(), "o\n42\n");
  EXPECT_TRUE(service_.execute_request().program().return_value());
}

TEST_F(ExecutionCommandsTest, JsonIsOneObjectAndNothingElse) {
  options_.json = true;
  service_.execute.events = {StartedEvent(), StdoutEvent(2, "o"), StderrEvent(3, "e"),
                             FinishedEvent(4, v1::Outcome::KIND_MEMORY_LIMIT)};
  EXPECT_EQ(Run(), 137);
  const auto json = nlohmann::json::parse(out_.Text());
  EXPECT_EQ(json["stdout"], "o");
  EXPECT_EQ(json["stderr"], "e");
  EXPECT_EQ(json["outcome"]["kind"], "KIND_MEMORY_LIMIT");
  EXPECT_EQ(err_.Text(), "");
}

TEST_F(ExecutionCommandsTest, ResumesALostStreamWithoutAGap) {
  service_.execute = {{StartedEvent(), StdoutEvent(2, "a")},
                      grpc::Status(grpc::StatusCode::UNAVAILABLE, "cut")};
  service_.attaches = {{{StdoutEvent(3, "b"), FinishedEvent(4, v1::Outcome::KIND_SUCCEEDED)}}};
  EXPECT_EQ(Run(), 0);
  EXPECT_EQ(out_.Text(), "ab");
  EXPECT_THAT(err_.Text(), HasSubstr("lost the stream (cut)"));
  EXPECT_THAT(service_.attached_after(), ElementsAre(2));
}

TEST_F(ExecutionCommandsTest, RefusalsAreReadable) {
  service_.execute = {
      {}, StatusWithDetails(grpc::StatusCode::NOT_FOUND, "no template \"x\"", "TEMPLATE_UNKNOWN")};
  EXPECT_EQ(Run(), 2);
  EXPECT_EQ(err_.Text(), "cloister: no template \"x\" [TEMPLATE_UNKNOWN]\n");
}

TEST_F(ExecutionCommandsTest, AnAbsentServerIsUnavailable) {
  service_.StopServing();
  EXPECT_EQ(Run(), 69);
  EXPECT_THAT(err_.Text(),
              StartsWith("cloister: cannot reach the server at " + service_.address()));
}

TEST_F(ExecutionCommandsTest, AReaderThatIsGoneStopsTheProgram) {
  service_.execute = {
      {StartedEvent(), StdoutEvent(2, "a")}, grpc::Status::OK, false, /*until_cancelled=*/true};
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  EXPECT_EQ(RunProgram(server_, options_, {full, err_.fd()}), 74);
  EXPECT_EQ(err_.Text(), "cloister: stdout: No space left on device\n");
  ::close(full);
}

TEST_F(ExecutionCommandsTest, ANameThatCannotBePrintedIsToldOnStderr) {
  options_.detach = true;
  service_.execute = {{StartedEvent()}, grpc::Status::OK, false, /*until_cancelled=*/true};
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  EXPECT_EQ(RunProgram(server_, options_, {full, err_.fd()}), 74);
  EXPECT_THAT(err_.Text(), HasSubstr("cloister: made executions/abc\n"));
  ::close(full);
}

v1::ExecutionEvent LateEvent(int64_t sequence, const std::string& bytes) {
  v1::ExecutionEvent event;
  event.set_sequence(sequence);
  event.mutable_late_output()->set_execution("executions/earlier");
  event.mutable_late_output()->set_stdout(bytes);
  return event;
}

TEST_F(ExecutionCommandsTest, ShowsTheTextOfADisplayAndNamesItsOtherForms) {
  v1::ExecutionEvent display;
  display.set_sequence(2);
  auto* data = display.mutable_display()->mutable_bundle()->mutable_data();
  (*data)["text/plain"] = "<a figure>";
  (*data)["image/png"] = "png";
  service_.execute.events = {StartedEvent(), display,
                             FinishedEvent(3, v1::Outcome::KIND_SUCCEEDED)};
  EXPECT_EQ(Run(), 0);
  EXPECT_EQ(out_.Text(), "<a figure>\n");
  EXPECT_EQ(err_.Text(), "cloister: a display is also image/png (3 B)\n");
}

TEST_F(ExecutionCommandsTest, TellsLateOutputLineByLineBesideTheProgramsOwn) {
  service_.execute.events = {StartedEvent(),      LateEvent(2, "one\ntw"),
                             StdoutEvent(3, "o"), LateEvent(4, "o\nrest"),
                             StdoutEvent(5, "k"), FinishedEvent(6, v1::Outcome::KIND_SUCCEEDED)};
  EXPECT_EQ(Run(), 0);
  EXPECT_EQ(out_.Text(), "ok");
  EXPECT_EQ(err_.Text(),
            "cloister: late output of executions/earlier: one\n"
            "cloister: late output of executions/earlier: two\n"
            "cloister: late output of executions/earlier: rest\n");
}

TEST_F(ExecutionCommandsTest, JsonHasDisplaysAndLateOutput) {
  options_.json = true;
  v1::ExecutionEvent display;
  display.set_sequence(2);
  (*display.mutable_display()->mutable_bundle()->mutable_data())["text/plain"] = "shown";
  service_.execute.events = {StartedEvent(), display, LateEvent(3, "l"),
                             FinishedEvent(4, v1::Outcome::KIND_SUCCEEDED)};
  EXPECT_EQ(Run(), 0);
  const auto json = nlohmann::json::parse(out_.Text());
  EXPECT_EQ(json["displays"][0]["bundle"]["data"]["text/plain"], "shown");
  EXPECT_EQ(json["late_output"][0]["stdout"], "l");
}

TEST_F(ExecutionCommandsTest, LinesOfOursBeginOnALineOfTheirOwn) {
  service_.execute.events = {StartedEvent(), StdoutEvent(2, "half"),
                             FinishedEvent(3, v1::Outcome::KIND_WALL_TIMEOUT)};
  EXPECT_EQ(RunProgram(server_, options_, {out_.fd(), out_.fd()}), 124);
  EXPECT_THAT(out_.Text(), StartsWith("half\ncloister: WALL_TIMEOUT"));
  // Where stdout goes elsewhere, it stays as the program wrote it, and stderr begins at its start.
  Capture apart;
  EXPECT_EQ(RunProgram(server_, options_, {apart.fd(), err_.fd()}), 124);
  EXPECT_EQ(apart.Text(), "half");
  EXPECT_THAT(err_.Text(), StartsWith("cloister: WALL_TIMEOUT"));
}

TEST_F(ExecutionCommandsTest, DetachPrintsTheNameAndLeaves) {
  options_.detach = true;
  service_.execute = {{StartedEvent()}, grpc::Status::OK, false, /*until_cancelled=*/true};
  EXPECT_EQ(Run(), 0);
  EXPECT_EQ(out_.Text(), "executions/abc\n");
  EXPECT_EQ(service_.execute_request().on_disconnect(), v1::ExecuteRequest::ON_DISCONNECT_DETACH);
}

TEST_F(ExecutionCommandsTest, FetchedFilesAreStoredAndMissingOnesTold) {
  std::string directory = std::filesystem::temp_directory_path() / "cloister-test-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  options_.fetches = {"a:" + directory + "/a", "b:" + directory + "/b"};
  v1::ExecutionEvent end = FinishedEvent(2, v1::Outcome::KIND_SUCCEEDED);
  v1::ReturnedFile* file = end.mutable_finished()->add_files();
  file->set_path("a");
  file->set_content("content");
  file = end.mutable_finished()->add_files();
  file->set_path("b");
  file->set_error("missing");
  service_.execute.events = {StartedEvent(), end};
  EXPECT_EQ(Run(), 74);
  EXPECT_EQ(*ReadInput(directory + "/a"), "content");
  EXPECT_FALSE(std::filesystem::exists(directory + "/b"));
  EXPECT_EQ(err_.Text(), "cloister: --fetch b: missing\n");
  std::filesystem::remove_all(directory);
}

TEST_F(ExecutionCommandsTest, AFetchedFileCanGoToStandardOutput) {
  options_.fetches = {"a:-"};
  v1::ExecutionEvent end = FinishedEvent(2, v1::Outcome::KIND_SUCCEEDED);
  v1::ReturnedFile* file = end.mutable_finished()->add_files();
  file->set_path("a");
  file->set_content("content");
  service_.execute.events = {StartedEvent(), end};
  EXPECT_EQ(Run(), 0);
  EXPECT_EQ(out_.Text(), "content");
  options_.json = true;
  EXPECT_EQ(Run(), 2);
  EXPECT_THAT(err_.Text(), HasSubstr("--fetch a:- and --json"));
}

TEST_F(ExecutionCommandsTest, CtrlCInterruptsAndStillShowsTheEnd) {
  service_.execute = {{StartedEvent(), StdoutEvent(2, "a")},
                      grpc::Status::OK,
                      /*until_interrupted=*/true,
                      false,
                      {StdoutEvent(3, "b"), FinishedEvent(4, v1::Outcome::KIND_INTERRUPTED)}};
  // The stream waits for an interrupt, and an interrupt needs a program that has started: send it
  // until then.
  std::thread user([&] {
    while (out_.Text().empty()) std::this_thread::yield();
    ::kill(::getpid(), SIGINT);
  });
  EXPECT_EQ(Run(), 130);
  user.join();
  EXPECT_EQ(out_.Text(), "ab");
  EXPECT_THAT(err_.Text(), HasSubstr("interrupting the program"));
  EXPECT_THAT(err_.Text(), HasSubstr("INTERRUPTED"));
  EXPECT_EQ(service_.interrupt_count(), 1);
}

TEST_F(ExecutionCommandsTest, ASecondCtrlCStopsWaiting) {
  service_.execute = {
      {StartedEvent(), StdoutEvent(2, "a")}, grpc::Status::OK, false, /*until_cancelled=*/true};
  std::thread user([&] {
    while (out_.Text().empty()) std::this_thread::yield();
    ::kill(::getpid(), SIGINT);
    service_.AwaitInterrupt();
    ::kill(::getpid(), SIGINT);
  });
  EXPECT_EQ(Run(), 130);
  user.join();
  EXPECT_EQ(service_.interrupt_count(), 1);
}

TEST_F(ExecutionCommandsTest, AttachShowsFromWhereItIsTold) {
  service_.attaches = {{{StdoutEvent(5, "x"), FinishedEvent(6, v1::Outcome::KIND_CPU_TIMEOUT)}}};
  EXPECT_EQ(AttachProgram(server_, {.execution = kFakeExecution, .after_sequence = 4},
                          {out_.fd(), err_.fd()}),
            124);
  EXPECT_EQ(out_.Text(), "x");
  EXPECT_THAT(service_.attached_after(), ElementsAre(4));
}

TEST_F(ExecutionCommandsTest, InterruptTellsTheOutcome) {
  EXPECT_EQ(InterruptProgram(server_, {kFakeExecution, "0"}, {out_.fd(), err_.fd()}), 0);
  EXPECT_THAT(out_.Text(), StartsWith("INTERRUPTED"));
  EXPECT_EQ(InterruptProgram(server_, {"executions/other", ""}, {out_.fd(), err_.fd()}), 2);
  EXPECT_THAT(err_.Text(), HasSubstr("EXECUTION_NOT_FOUND"));
  EXPECT_EQ(InterruptProgram(server_, {kFakeExecution, "soon"}, {out_.fd(), err_.fd()}), 2);
  EXPECT_THAT(err_.Text(), HasSubstr("--grace"));
}

class MapCommandTest : public ExecutionCommandsTest {
 protected:
  // With these lines as inputs.
  int Map(const std::string& lines, MapOptions options = {}) {
    char path[] = "/tmp/cloister-test.XXXXXX";
    const int file = ::mkstemp(path);
    EXPECT_EQ(::write(file, lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
    ::close(file);
    options.inputs = path;
    if (!options.program.code) options.program.code = "code";
    const int code = MapProgram(server_, options, {out_.fd(), err_.fd()});
    std::filesystem::remove(path);
    return code;
  }
  v1::MapVerdict* AddVerdict(int index, v1::Outcome::Kind kind) {
    service_.map.emplace_back();
    v1::MapVerdict* verdict = service_.map.back().mutable_verdict();
    verdict->set_index(index);
    verdict->mutable_outcome()->set_kind(kind);
    return verdict;
  }
  void AddSummary(int succeeded, int failed) {
    service_.map.emplace_back();
    service_.map.back().mutable_summary()->set_succeeded_count(succeeded);
    service_.map.back().mutable_summary()->set_failed_count(failed);
  }
};

TEST_F(MapCommandTest, EachLineIsAnInput) {
  AddSummary(3, 0);
  MapOptions options;
  options.program.call = "f";
  EXPECT_EQ(Map("{\"n\": 1}\n\n[1, \"a\"]\n\"text\"\n", options), 0);
  const v1::MapCodeRequest request = service_.map_request();
  ASSERT_EQ(request.inputs_size(), 3);
  EXPECT_EQ(request.inputs(0).variables().at("n").int_value(), 1);
  ASSERT_EQ(request.inputs(1).arguments_size(), 2);
  EXPECT_EQ(request.inputs(1).arguments(1).string_value(), "a");
  EXPECT_EQ(request.inputs(2).stdin(), "text");
  EXPECT_EQ(request.program().call().function(), "f");
}

TEST_F(MapCommandTest, EachVerdictIsALineOfJson) {
  v1::MapVerdict* first = AddVerdict(0, v1::Outcome::KIND_SUCCEEDED);
  first->set_stdout("out");
  first->mutable_outcome()->mutable_value()->set_int_value(7);
  v1::MapVerdict* second = AddVerdict(1, v1::Outcome::KIND_RAISED);
  second->mutable_outcome()->mutable_exception()->set_message("bad");
  service_.map.emplace_back();
  service_.map.back().mutable_verdict()->mutable_error()->set_message("no sandbox");
  AddSummary(1, 2);
  EXPECT_EQ(Map("{}\n{}\n{}\n"), 1);
  const std::vector<std::string> lines = absl::StrSplit(out_.Text(), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 3u);
  const auto json = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(json["outcome"], "SUCCEEDED");
  EXPECT_EQ(json["value"], "7");
  EXPECT_EQ(json["stdout"], "out");
  EXPECT_EQ(nlohmann::json::parse(lines[1])["message"], "bad");
  EXPECT_EQ(nlohmann::json::parse(lines[2])["error"], "no sandbox");
  EXPECT_THAT(err_.Text(), HasSubstr("1 succeeded, 2 failed, 0 not run"));
}

TEST_F(MapCommandTest, ABadLineIsNamed) {
  EXPECT_EQ(Map("{}\n7\n"), 2);
  EXPECT_THAT(err_.Text(), HasSubstr("--inputs, line 2"));
}

}  // namespace
}  // namespace cloister::cli
