// Lives and deaths of interpreters that send one another all that there is: channels, shared
// memory, locks, moves and calls. Whoever receives may end at any moment, with whatever lies in its
// inbox. At the end nothing is left.
//
// CLOISTER_SOAK_SECONDS=3600 for longer than a test has time for; the seed is printed,
// CLOISTER_SOAK_SEED repeats it.

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/sandbox_guest/interpreters_test.h"
#include "tests/unit/sandbox_guest/pretended_sandbox.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxInterpreters = 4;

// What each of them can do; whatever a peer's end makes of it is an exception that it knows.
constexpr char kActor[] = R"(
import cloister, gc, os, queue, random, threading
cloister.inbox.empty()  # from here on it ends with its interpreter
kept, known = [], (cloister.ChannelClosed, LookupError, cloister.DataCloneError, TimeoutError, queue.Full, queue.Empty,
                   ValueError, BufferError, OSError, RuntimeError)
def make(depth=0):
    kind = random.randrange(10)
    if kind == 0: return cloister.SharedBuffer(random.choice((1, 5000, 300_000)))
    if kind == 1: return cloister.Lock()
    if kind == 2: return cloister.Channel(random.choice((0, 2))).sender
    if kind == 3: return cloister.Channel(random.choice((0, 2)))
    if kind == 4: return cloister.Movable(random.choice((b"m", "m", "\u20ac")) * random.choice((10, 100_000, 300_000)))
    if kind == 5: return os.urandom(random.choice((3, 40_000, 200_000)))
    if kind == 6: return {"records": [{"id": i, "name": str(i)} for i in range(random.randrange(200))]}
    if kind == 7 and kept: return random.choice(kept)
    return [make(depth + 1) for _ in range(random.randrange(4))] if depth < 3 else None
def handed_over(value, found):
    if isinstance(value, (cloister.SharedBuffer, cloister.Movable, cloister.Channel, cloister.Sender)):
        if random.random() < 0.5 and all(value is not other for other in found): found.append(value)
    elif isinstance(value, list):
        for item in value: handed_over(item, found)
    return found
def send(peers):
    for _ in range(20):
        value = make()
        try:
            cloister.post(value, to=random.choice(peers), timeout=0.01, transfer=handed_over(value, []))
        except known: pass
def receive():
    try:
        while True: kept.append(cloister.inbox.get_nowait())
    except queue.Empty: pass
    except known: pass
    for value in kept:
        try:
            if isinstance(value, cloister.Channel):
                value.put_nowait(make()); value.get_nowait()
            elif isinstance(value, cloister.Lock):
                if value.acquire(timeout=0.001) and random.random() < 0.8: value.release()
            elif isinstance(value, cloister.SharedBuffer):
                value.atomic_add(0, 1, 1)
        except known: pass
    random.shuffle(kept)
    del kept[8:]
def call(peers):
    try: cloister.call(random.choice(peers), "len", [1, 2], timeout=30)
    except known: pass
)";

class SoakTest : public FurtherInterpreterTest {
 protected:
  static int Setting(const char* name, int otherwise) {
    int value = 0;
    const char* text = std::getenv(name);
    return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
  }

  // Of the interpreters' process.
  struct Held {
    int descriptors = 0;
    std::string names;  // of them
    int shared_mappings = 0;
    long resident_pages = 0;
  };
  Held Look() {
    Held held;
    const std::string process_directory = absl::StrCat("/proc/", process().pid());
    for (const auto& entry : std::filesystem::directory_iterator(process_directory + "/fd")) {
      ++held.descriptors;
      std::error_code error;
      absl::StrAppend(&held.names, std::filesystem::read_symlink(entry, error).string(), " ");
    }
    std::ifstream maps(process_directory + "/maps");
    for (std::string line; std::getline(maps, line);) {
      held.shared_mappings += line.find("/memfd:") != std::string::npos ? 1 : 0;
    }
    std::ifstream statm(process_directory + "/statm");
    long size = 0;
    statm >> size >> held.resident_pages;
    return held;
  }

  std::string PeersOf(const GuestInterpreter* self) {
    std::string names = "['nobody'";
    for (const auto& [name, interpreter] : alive_) {
      if (interpreter != self) absl::StrAppend(&names, ", '", name, "'");
    }
    return names + "]";
  }
  std::map<std::string, GuestInterpreter*>::iterator Any() {
    auto at = alive_.begin();
    std::advance(at, static_cast<long>(random_() % alive_.size()));
    return at;
  }
  void Step(PretendedSandbox* sandbox, int number) {
    const auto choice = random_() % 10;
    if (alive_.empty() || (choice == 0 && alive_.size() < kMaxInterpreters)) {
      const std::string name = absl::StrCat("i", number);
      GuestInterpreter& made = sandbox->Add(name);
      ValueOf(made, absl::StrCat(kActor, "random.seed(", random_(), ")\n"));
      alive_[name] = &made;
    } else if (choice == 1 && alive_.size() > 1) {
      const auto victim = Any();
      const std::string name = victim->first;
      const std::string peers = PeersOf(nullptr);
      alive_.erase(victim);
      // In the middle of what others send to it.
      GuestInterpreter& sender = *Any()->second;
      std::thread sending([&] { ValueOf(sender, absl::StrCat("send(", peers, ")")); });
      sandbox->End(name);
      sending.join();
    } else {
      const auto actor = Any();
      const std::string peers = PeersOf(actor->second);
      ValueOf(*actor->second, choice < 6   ? absl::StrCat("send(", peers, ")")
                              : choice < 9 ? std::string("receive()")
                                           : absl::StrCat("call(", peers, "); gc.collect(); None"));
    }
  }

  std::mt19937 random_;
  std::map<std::string, GuestInterpreter*> alive_;
};

TEST_F(SoakTest, NothingIsLeftOfInterpretersThatComeAndGo) {
  const int seed = Setting("CLOISTER_SOAK_SEED", static_cast<int>(std::random_device()() >> 1));
  RecordProperty("seed", seed);
  random_.seed(static_cast<unsigned>(seed));
  PretendedSandbox sandbox(&process());
  // What the first one leaves for good is none of the others'.
  ValueOf(sandbox.Add("first"), kActor);
  sandbox.End("first");
  const Held before = Look();
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::seconds(Setting("CLOISTER_SOAK_SECONDS", 5));
  int steps = 0;
  while (std::chrono::steady_clock::now() < end && !HasFailure()) Step(&sandbox, ++steps);
  while (!alive_.empty()) {
    sandbox.End(alive_.begin()->first);
    alive_.erase(alive_.begin());
  }
  // What lay in messages is given back when their sockets go: soon.
  Held after = Look();
  for (int i = 0; i < 200 && after.descriptors > before.descriptors; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    after = Look();
  }
  printf("seed %d: %d steps, %d interpreters; resident pages %ld, %ld before\n", seed, steps,
         sandbox.made(), after.resident_pages, before.resident_pages);
  EXPECT_LE(after.descriptors, before.descriptors) << "seed " << seed << ": " << after.names;
  EXPECT_LE(after.shared_mappings, before.shared_mappings) << "seed " << seed;
  // What malloc keeps of large messages in each of its arenas, and some that grows with what was
  // made.
  const long allowed = (40 << 8) + sandbox.made() * 64L;
  EXPECT_LT(after.resident_pages, before.resident_pages + allowed) << "seed " << seed;
}

}  // namespace
}  // namespace cloister::sandbox
