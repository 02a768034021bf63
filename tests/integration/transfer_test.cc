// What goes from interpreter to interpreter without being copied, and what a client hands over,
// against a real server: moves, files as shared memory, channels that are found by their names.

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/integration/files_test.h"

namespace cloister::testing {
namespace {


class TransferTest : public FilesTest {
 protected:
  void SetUp() override {
    FilesTest::SetUp();
    v1::CreateSandboxRequest request;
    request.mutable_limits()->set_memory_bytes(512 << 20);
    main_ = Create(request).name();
    ASSERT_FALSE(main_.empty());
    (void)Output(main_, "import cloister, os");
  }

  // Runs code that prints, and returns that; the traceback where it raised.
  std::string Output(const std::string& interpreter, const std::string& code) {
    const v1::RunCodeResponse response = Cell(interpreter, code);
    const v1::Exception& exception = response.outcome().exception();
    return exception.type().empty() ? response.stdout() : exception.traceback();
  }

  std::string main_;
};

// ---- files --------------------------------------------------------------------------------------

TEST_F(TransferTest, AnUploadBecomesSharedMemoryAndADownload) {
  std::string content(20 << 20, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 >> 7);
  ASSERT_TRUE(Put(main_, "upload.bin", content).ok());
  EXPECT_EQ(Output(main_,
                   "buffer = cloister.SharedBuffer.from_file('/workspace/upload.bin')\n"
                   "os.unlink('upload.bin')\n"
                   "def change(): \n"
                   "    import cloister\n"
                   "    buffer = cloister.inbox.get(timeout=10)\n"
                   "    memoryview(buffer)[:4] = b'seen'\n"
                   "    return buffer.size\n"
                   "with cloister.spawn_interpreter() as other:\n"
                   "    working = other.start_call(change)\n"
                   "    other.post(buffer)\n"
                   "    print(working.result(10))\n"
                   "buffer.save('download.bin')"),
            absl::StrCat(content.size(), "\n"));
  content.replace(0, 4, "seen");
  EXPECT_EQ(Read(main_, "download.bin") == content, true);
}

TEST_F(TransferTest, AnUploadThatIsTooLargeIsAnError) {
  v1::CreateSandboxRequest request;
  request.mutable_limits()->set_file_bytes(1 << 20);
  const std::string small = Create(request).name();
  ASSERT_TRUE(Put(small, "fits.bin", std::string(1 << 20, 'x')).ok());
  EXPECT_EQ(Output(small,
                   "import cloister\n"
                   "buffer = cloister.SharedBuffer.from_file('fits.bin')\n"
                   "try:\n"
                   "    with open('fits.bin', 'ab') as file: file.write(b'more')\n"
                   "except OSError: print('full')\n"
                   "print(len(buffer))\n"),
            "full\n1048576\n");
}

// ---- moves --------------------------------------------------------------------------------------

TEST_F(TransferTest, MovesReachOtherProcessesAsCopies) {
  // From an isolated interpreter to another one there, and to main, which is another process.
  EXPECT_EQ(Output(main_,
                   "def relay():\n"
                   "    import cloister\n"
                   "    for _ in range(3):\n"
                   "        value = cloister.Movable(cloister.inbox.get(timeout=10))\n"
                   "        assert value.is_sole\n"
                   "        cloister.post(value, to='main', transfer=[value])\n"
                   "def send():\n"
                   "    import cloister\n"
                   "    for content in (b'b', 'a', '\\u20ac'):\n"
                   "        value = cloister.Movable(content * (20 << 20))\n"
                   "        cloister.post(value, to='there', transfer=[value])\n"
                   "    return value.closed\n"
                   "with cloister.spawn_interpreter('there', 'isolated') as there, \\\n"
                   "     cloister.spawn_interpreter('here', 'isolated') as here:\n"
                   "    relaying, sending = there.start_call(relay), here.start_call(send)\n"
                   "    for content in (b'b', 'a', '\\u20ac'):\n"
                   "        print(cloister.inbox.get(timeout=20) == content * (20 << 20))\n"
                   "    relaying.result(10)\n"
                   "    print(sending.result(10))\n"),
            "True\nTrue\nTrue\nTrue\n");
}

TEST_F(TransferTest, AMoveWhoseProcessHasEndedIsAnError) {
  EXPECT_EQ(Output(main_,
                   "def send():\n"
                   "    import cloister\n"
                   "    value = cloister.Movable(b'b' * (1 << 20))\n"
                   "    cloister.post(value, to='main', transfer=[value])\n"
                   "other = cloister.spawn_interpreter('other', 'isolated')\n"
                   "other.call(send)\n"
                   "try: other.call('os:_exit', 1)\n"
                   "except Exception: pass\n"
                   "cloister.post('next', to='main')\n"
                   "try: cloister.inbox.get(timeout=10)\n"
                   "except cloister.DataCloneError as exc: print(exc)\n"
                   "print(cloister.inbox.get(timeout=10))"),
            "what was moved is gone: its sender's process has ended, or it was taken\nnext\n");
}

// ---- channels by name ---------------------------------------------------------------------------

class NamedChannelTest : public TransferTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(NamedChannelTest, IsTheSameInAllInterpreters) {
  EXPECT_EQ(
      Output(main_,
             absl::StrCat(
                 "def work():\n"
                 "    import cloister\n"
                 "    jobs, results = cloister.Channel(name='jobs'), "
                 "cloister.Channel(name='results')\n"
                 "    for job in iter(lambda: jobs.get(timeout=10), None): results.put(job * 2)\n"
                 "    return jobs.maxsize, results.maxsize\n"
                 "jobs = cloister.Channel(2, name='jobs')\n"
                 "with cloister.spawn_interpreter(profile='",
                 GetParam(),
                 "') as other:\n"
                 "    working = other.start_call(work)\n"
                 "    results = cloister.Channel(name='results')\n"
                 "    for job in range(40):\n"
                 "        jobs.put(job, timeout=10)\n"
                 "        assert results.get(timeout=10) == job * 2\n"
                 "    jobs.put(None)\n"
                 "    print(working.result(10))\n")),
      "(2, 0)\n");
}

INSTANTIATE_TEST_SUITE_P(Profiles, NamedChannelTest,
                         ::testing::Values("process", "isolated", "shared_gil"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(TransferTest, NamedChannelsAreBoundedAndEndWithTheirSandbox) {
  EXPECT_EQ(
      Output(main_,
             "def fails(function, *arguments, **options):\n"
             "    try: return function(*arguments, **options)\n"
             "    except Exception as exc: return type(exc).__name__\n"
             "for i in range(64): cloister.Channel(name=f'{i}', capacity=1).put(i)\n"
             "print(fails(cloister.Channel, name='more'), fails(cloister.Channel, 2, '7'),\n"
             "      fails(cloister.Channel, 1 << 20, 'x' * 65), fails(cloister.Channel, name=''),\n"
             "      fails(cloister.remove_channel, 'none'))\n"
             "print(cloister.Channel(name='63').get(timeout=10))\n"
             "for i in range(64): cloister.remove_channel(f'{i}')\n"
             "print(cloister.Channel(name='7').empty())\n"),
      "OverflowError ValueError ValueError ValueError LookupError\n63\nTrue\n");
  // Another sandbox has names of its own, and so has one that starts anew.
  (void)Output(main_, "cloister.Channel(name='kept').put('here')");
  const std::string other = Create({}).name();
  EXPECT_EQ(Output(other, "import cloister\nprint(cloister.Channel(name='kept').empty())"),
            "True\n");
  (void)Restart(main_);
  EXPECT_EQ(Output(main_, "import cloister\nprint(cloister.Channel(name='kept').empty())"),
            "True\n");
}

TEST_F(TransferTest, ACopyHasNoneOfItsParentsNamedChannels) {
  (void)Output(main_,
               "with cloister.Channel(name='kept') as channel: channel.put('here')\ndel channel");
  v1::ForkSandboxRequest request;
  request.set_name(main_);
  request.set_count(1);
  v1::ForkSandboxResponse response;
  const grpc::Status status = server_->sandboxes().ForkSandbox(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const std::string copy = response.sandboxes(0).name();
  made_.push_back(copy);
  EXPECT_EQ(Output(copy, "print(cloister.Channel(name='kept').empty())"), "True\n");
  EXPECT_EQ(Output(main_, "print(cloister.Channel(name='kept').get(timeout=10))"), "here\n");
}

}  // namespace
}  // namespace cloister::testing
