// What comes out of an inbox when others in the sandbox, who have its sending end, put anything in.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "tests/unit/sandbox_guest/messages_test.h"

namespace cloister::sandbox {
namespace {

using testing::HasSubstr;

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

UniqueFd Memory(const std::string& content, int seals) {
  UniqueFd memory(memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(write(memory.get(), content.data(), content.size()),
            static_cast<ssize_t>(content.size()));
  EXPECT_EQ(fcntl(memory.get(), F_ADD_SEALS, seals), 0);
  return memory;
}

InboxPacketHeader Header(uint8_t flags, size_t clone_bytes, size_t descriptors = 0) {
  InboxPacketHeader header;
  header.flags = flags;
  header.clone_bytes = clone_bytes;
  header.descriptor_count = static_cast<uint16_t>(descriptors);
  return header;
}

class HostileMessageTest : public MessageTest {
 protected:
  void SetUp() override {
    ExpectPrints(
        "import cloister, os\n"
        "def get():\n"
        "    before = len(os.listdir('/proc/self/fd'))\n"
        "    try: return cloister.inbox.get(timeout=10)\n"
        "    finally: assert len(os.listdir('/proc/self/fd')) <= before, 'a descriptor is left'\n"
        "cloister.inbox.empty()\n",
        "");
  }

  // What was sent is an error that says so, and the next message comes.
  void ExpectBroken(const std::string& why) {
    EXPECT_THAT(Raised(Execute("get()"), "DataCloneError").message(), HasSubstr(why));
    host().Send(CloneOf("next"));
    ExpectPrints("print(get())", "next\n");
  }
};

TEST_F(HostileMessageTest, WrongHeaders) {
  const std::string clone = CloneOf("text");
  InboxPacketHeader header = Header(0, clone.size());
  header.version = 2;
  host().SendPacket(header, clone);
  ExpectBroken("no packet");
  for (const size_t bytes : {clone.size() - 1, clone.size() + 1, size_t{0}}) {
    host().SendPacket(Header(0, bytes), clone);
    ExpectBroken("not whole");
  }
  host().SendPacket(Header(0, ~uint64_t{0}), clone);
  ExpectBroken("larger than messages may be");
  host().SendPacket(Header(InboxPacketHeader::kMore, clone.size()), clone);
  ExpectBroken("not whole");
  ASSERT_EQ(send(host().inbox(), "short", 5, 0), 5);
  ExpectBroken("no packet");
  ASSERT_EQ(send(host().inbox(), "", 0, 0), 0);
  ExpectBroken("no packet");
  const std::string much(kMaxInlineBytes + 100, 'x');
  host().SendPacket(Header(0, much.size()), much);
  ExpectBroken("no packet");
}

TEST_F(HostileMessageTest, DamagedClones) {
  const std::string clone = CloneOf("text");
  for (size_t bytes = 0; bytes < clone.size(); ++bytes) {
    host().SendPacket(Header(0, bytes), clone.substr(0, bytes));
    ExpectBroken("");
  }
  host().SendPacket(Header(0, 1000), std::string(1000, '\xff'));
  ExpectBroken("");
}

TEST_F(HostileMessageTest, PartsThatDoNotBelongTogether) {
  constexpr uint8_t kPart = InboxPacketHeader::kFromHost | InboxPacketHeader::kMore;
  const std::string part(kMaxInlineBytes, 'x');
  host().SendPacket(Header(kPart, 3 * part.size()), part);
  host().SendPacket(Header(kPart, 4 * part.size()), part);
  ExpectBroken("parts");
  host().SendPacket(Header(kPart, 2 * part.size()), part);
  host().SendPacket(Header(InboxPacketHeader::kFromHost, 2 * part.size()), "short");
  ExpectBroken("parts");
  host().SendPacket(Header(kPart, 2 * part.size()), part);
  host().SendPacket(Header(kPart, 2 * part.size()), part);
  ExpectBroken("parts");
  for (const char* wrong : {"", "x"}) {
    host().SendPacket(Header(kPart, part.size()), wrong);
    ExpectBroken("parts");
  }
}

TEST_F(HostileMessageTest, DescriptorsThatDoNotBelongToIt) {
  const std::string clone = CloneOf("text");
  const UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  host().SendPacket(Header(0, clone.size()), clone, {file.get()});
  ExpectBroken("other descriptors");
  host().SendPacket(Header(0, clone.size(), 2), clone, {file.get()});
  ExpectBroken("other descriptors");
  // More than a message may have: the kernel gives as many as there is room for.
  host().SendPacket(Header(0, clone.size(), 200), clone, std::vector<int>(200, file.get()));
  ExpectBroken("do not fit");
  host().SendPacket(Header(InboxPacketHeader::kInMemory, clone.size()), clone);
  ExpectBroken("did not come with it");
  host().SendPacket(Header(0, clone.size(), 1), clone, {file.get()});
  ExpectBroken("names 0 descriptors");
}

TEST_F(HostileMessageTest, MemoryThatIsNotWhatItShouldBe) {
  const std::string clone = CloneOfBytes(100'000);
  const auto send = [&](int fd, size_t bytes) {
    host().SendPacket(Header(InboxPacketHeader::kInMemory, bytes, 1), "", {fd});
  };
  send(Memory(clone, kSeals).get(), clone.size());
  ExpectPrints("print(len(get()))", "100000\n");
  for (const int seals : {0, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_GROW | F_SEAL_WRITE}) {
    send(Memory(clone, seals).get(), clone.size());
    ExpectBroken("not sealed");
  }
  send(Memory(clone, kSeals).get(), clone.size() + 1);
  ExpectBroken("another size");
  send(Memory(clone.substr(0, 1000), kSeals).get(), clone.size());
  ExpectBroken("another size");
  send(Memory("", kSeals).get(), 0);
  ExpectBroken("another size");
  const UniqueFd large(memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(large.get(), 17 << 20), 0);
  ASSERT_EQ(fcntl(large.get(), F_ADD_SEALS, kSeals), 0);
  send(large.get(), 17 << 20);
  ExpectBroken("larger than messages may be");
  for (const char* path : {"/dev/zero", "/dev/null", "/proc/self/status", "/"}) {
    const UniqueFd other(open(path, O_RDONLY | O_CLOEXEC));
    send(other.get(), 4096);
    ExpectBroken("not sealed");
  }
  const UniqueFd hole(memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(hole.get(), 1 << 20), 0);
  ASSERT_EQ(fcntl(hole.get(), F_ADD_SEALS, kSeals), 0);
  send(hole.get(), 1 << 20);
  ExpectBroken("");
}

TEST_F(HostileMessageTest, AnEndThatIsGone) {
  host().Send(CloneOf("last"));
  // Nobody but the test has the sending end.
  shutdown(host().inbox(), SHUT_RDWR);
  ExpectPrints("print(get())", "last\n");
  EXPECT_THAT(Raised(Execute("get()"), "ChannelClosed").message(), HasSubstr("nothing more"));
  ExpectPrints("print(list(cloister.inbox))", "[]\n");
}

}  // namespace
}  // namespace cloister::sandbox
