// Stands in for libFuzzer where a fuzzer is an ordinary test: runs it over the files and
// directories named, and over what can be made of each by cutting it short and flipping its bits.

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void RunOne(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

void RunFileAndItsNeighbours(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string input((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  RunOne(input);
  for (size_t i = 0; i < input.size() && i < 512; ++i) {
    RunOne(input.substr(0, i));
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = input;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      RunOne(flipped);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      RunFileAndItsNeighbours(entry.path());
      ++files;
    }
  }
  std::printf("%d files replayed\n", files);
  return files > 0 ? 0 : 1;
}
